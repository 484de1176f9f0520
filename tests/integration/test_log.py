"""What the log tells of a session: a line when it begins, one when it ends, and no secrets in either."""

import re

import pytest
from lodge import eventually, standard_routes
from test_pooling import TRUST
from wire import ServerError, query


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_session_is_a_line_at_each_end(start_lodge, postgres, mode):
    with start_lodge(standard_routes(postgres.host, pool=mode), TRUST) as lodge:
        with lodge.login("trusted.globex", "crm") as wire:
            begins = lodge.wait_for_log(": begins: ")
            assert ", tenant globex: begins: user trusted, by user \"{role}.{tenant}\" and tenants.globex, at main/shared" in begins
            wire.rows("SELECT 'row data'")
            wire.rows("SELECT 2")
        ends = lodge.wait_for_log(": ends after ")
        found = re.search(r"ends after (\d+\.\d{3}) s, (\d+) transactions, (\d+) bytes in, (\d+) out: the client left", ends)
        assert found and int(found[2]) == 2
        assert int(found[3]) == len(query("SELECT 'row data'") + query("SELECT 2"))
        assert int(found[4]) > 60  # the rows, and more
        assert "row data" not in lodge.log()


def test_why_a_session_ended_stands_in_its_line(start_lodge, postgres):
    with start_lodge(standard_routes(postgres.host), TRUST) as lodge:
        with lodge.login("trusted.globex", "crm"):
            moved = standard_routes(postgres.host)
            moved["tenants"]["globex"] = {"state": "suspended", "message": "call billing"}
            lodge.reload(moved)
            with pytest.raises(ServerError) as caught:
                lodge.login("trusted.globex", "crm")
            assert caught.value.sqlstate == "57P03"
        eventually(lambda: "FATAL 57P03: call billing" in lodge.log(), "the refusal is told")


def test_who_says_nothing_leaves_no_line(start_lodge, postgres):
    with start_lodge(standard_routes(postgres.host), TRUST) as lodge:
        for _ in range(3):
            lodge.wire().close()
        with lodge.login("trusted.globex", "crm"):
            lodge.wait_for_log(": begins: ")
        assert len(re.findall("session [0-9]+ from", lodge.log())) <= 2
