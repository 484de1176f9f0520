// What a thread is called in `top -H` and `ps -T`. The main thread keeps the program's name, which is the process's.
#pragma once

#include <pthread.h>

#include <string>

namespace proxy {

/// At most 15 bytes, or it stays what it was (pthread_setname_np(3)).
inline void name_this_thread(const std::string& name) { ::pthread_setname_np(::pthread_self(), name.c_str()); }

}  // namespace proxy
