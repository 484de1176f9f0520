// Asks servers that were out of reach whether they are there again, where no client comes who would find out: so what
// the desk and the console tell of them does not stay as it was when somebody last came.
//
// A server that serves is asked nothing. Of those that do not, each is asked by one login at a time, `health_check`
// after the last attempt of anybody's and never while somebody waits for it: whoever waits tries himself. Who has a
// `user` logs in by that. Where clients log in by themselves there is nobody to log in as, and any answer is enough,
// even that there is no such role; but none tells a primary from a standby, so that is left to the clients.
#pragma once

namespace proxy {

class worker;

/// A few times a second, by one worker for all.
void look_at_lost_servers(worker& home);

}  // namespace proxy
