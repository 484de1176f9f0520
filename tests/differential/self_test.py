"""The test of this test, without a server: differences are found, what may differ is not one, and failures become small."""

import struct
from collections import Counter

from compare import Normaliser, first_difference, show_answer
from generate import CLASSES, UNCOUNTED, generate
from scenario import Message, Step, frame
from session import Outstanding
from shrink import Shrinker


def run():
    for name, test in sorted(globals().items()):
        if name.startswith("test_"):
            test()
            print(f"{name}: well")
    return 0


def row_description(oid):
    return b"T", b"\0\1id\0" + struct.pack("!IhIhih", oid, 1, 23, 4, -1, 0)


def compared(expected, got, lenient=False):
    return first_difference(0, 0, Normaliser(lenient)(expected), Normaliser(lenient)(got))


def test_what_may_differ():
    assert not compared([row_description(20001)], [row_description(30001)])
    assert not compared([(b"K", b"12345678")], [(b"K", b"87654321")])
    assert not compared([(b"A", b"\0\0\0\1c\0p\0")], [(b"A", b"\0\0\0\2c\0p\0")])
    assert not compared([(b"S", b"a\0001\0"), (b"S", b"b\0002\0")], [(b"S", b"b\0002\0"), (b"S", b"a\0001\0")])
    assert not compared([(b"D", b"pg_temp_3")], [(b"D", b"pg_temp_17")])
    assert not compared([(b"E", b"C42P05\0L12\0\0")], [(b"E", b"C42P05\0L13\0\0")], lenient=True)
    assert not compared([(b"E", b"SERROR\0C25P02\0L12\0\0")], [(b"E", b"SERROR\0C25P02\0L13\0\0")])


def test_what_is_documented():
    no_temp = (b"E", b"SERROR\0C3F000\0Mschema \"pg_temp\" does not exist\0\0")
    late = (b"E", b"SERROR\0C25001\0MSET TRANSACTION ISOLATION LEVEL must be called before any query\0\0")
    assert compared([no_temp], [(b"E", b"SERROR\0C42883\0\0")]).is_older_process()
    assert compared([(b"C", b"BEGIN\0")], [late]).is_late_isolation()
    assert not compared([late], [(b"C", b"BEGIN\0")]).is_late_isolation()
    assert not compared([(b"C", b"BEGIN\0")], [no_temp]).is_older_process()


def test_what_may_not():
    assert compared([row_description(20001), row_description(20001)], [row_description(30001), row_description(30002)])
    assert compared([row_description(1259)], [row_description(1260)])
    assert compared([(b"S", b"a\0001\0"), (b"Z", b"I")], [(b"Z", b"I"), (b"S", b"a\0001\0")]).at == 0
    assert compared([(b"E", b"C42P05\0L12\0\0")], [(b"E", b"C42P05\0L13\0\0")])
    assert compared([(b"Z", b"I")], [(b"Z", b"T")]).kind() == "expected ReadyForQuery, got ReadyForQuery"
    assert compared([(b"Z", b"I")], []).kind() == "expected ReadyForQuery, got nothing"
    assert compared([(b"E", b"VERROR\0C42P05\0\0")], [(b"E", b"VERROR\0C42P01\0\0")]).kind() == \
        "expected ErrorResponse 42P05, got ErrorResponse 42P01"


def test_the_last_answer_is_known():
    """After an error everything is skipped up to the Sync, a Query, too, also one that is sent later."""
    outstanding = Outstanding()
    for kind in ("Parse", "Bind", "Execute", "Query", "Sync"):
        outstanding.ask(Message(kind))
    for answer in (b"1", b"E"):
        outstanding.answer(answer, b"")
    assert list(outstanding.queue) == ["Sync"]
    outstanding.answer(b"Z", b"I")
    assert not outstanding.queue
    outstanding.ask(Message("Parse"))
    outstanding.answer(b"E", b"")
    outstanding.ask(Message("Bind"))
    assert not outstanding.queue
    outstanding.ask(Message("Sync"))
    assert list(outstanding.queue) == ["Sync"]


def test_a_seed_is_a_scenario():
    assert generate(7) == generate(7) != generate(8)
    for seed in range(200):
        scenario = generate(seed)
        assert all(step.whole() for client in scenario.clients for step in client.steps), seed
        assert all(scenario.schedule.count(number) == len(client.steps) + 2 for number, client in enumerate(scenario.clients))
        assert scenario.show()


def test_nothing_is_left_out():
    found = Counter(message.cls for seed in range(600) for client in generate(seed).clients for step in client.steps for message in step.messages)
    assert not [name for name in CLASSES if not found[name] and name not in UNCOUNTED]
    for left_out in ("set", "copy_in", "temp_table", "sequence", "set_in_function"):
        assert not any(message.cls == left_out for seed in range(60) for client in generate(seed, (left_out,)).clients
                       for step in client.steps for message in step.messages), left_out


def test_messages_are_frames():
    assert Message("Query", sql="SELECT 1").encode() == frame(b"Q", b"SELECT 1\0")
    assert Message("Sync").encode() == b"S\0\0\0\4"
    assert Message("Bind", name="s", values=(b"x", None), formats=(1,), results=(0,)).encode() == frame(
        b"B", b"\0s\0\0\1\0\1\0\2\0\0\0\1x\xff\xff\xff\xff\0\1\0\0")
    assert Message("Query", sql="COPY t FROM STDIN", copy=(("d", b"1\n"), ("c",))).encode().endswith(frame(b"d", b"1\n") + frame(b"c"))


def test_a_failure_becomes_small():
    """The fake defect: a client that has said SET in one step is told something else by SHOW in a later one, if another
    client has connected before."""
    def fails(scenario):
        trials.append(scenario)
        if len(set(scenario.schedule)) < 2:
            return None
        for number, client in enumerate(scenario.clients):
            said = False
            for at, step in enumerate(client.steps):
                for message in step.messages:
                    if said and message.kind == "Query" and message.sql.startswith("SHOW"):
                        return first_difference(number, at, [(b"D", b"right")], [(b"D", b"wrong")])
                    said = said or message.sql.startswith("SET")
        return None

    for seed in range(1, 400):
        trials = []
        scenario = generate(seed)
        difference = fails(scenario)
        if difference:
            small, _ = Shrinker(fails, 10).shrink(scenario, difference)
            messages = [message for client in small.clients for step in client.steps for message in step.messages]
            assert len(messages) <= 3 and any(m.sql.startswith("SET") for m in messages), small.show()
            assert len(set(small.schedule)) == 2 and len(trials) < 400, (small.show(), len(trials))
            break
    else:
        raise AssertionError("no seed for it")


def test_answers_are_readable():
    assert show_answer((b"Z", b"I")) == "ReadyForQuery 'I'"
    assert show_answer((b"D", b"\0\2\0\0\0\1x\xff\xff\xff\xff")) == "DataRow [b'x', None]"
    assert "id: table 1259.1 type 23" in show_answer(row_description(1259))
    assert str(Step((Message("Sync"),)).messages[0]) == "Sync"
