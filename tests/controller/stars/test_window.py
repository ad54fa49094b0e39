"""The admission window: so many at a time, the most urgent first, nobody forgotten."""

from plato_sas.controller.stars.window import AdmissionWindow, Rank


def rank(key: str, priority: int = 0, created: str = "2030") -> Rank:
    return (-priority, created, key)


def window(slots: int) -> tuple[AdmissionWindow, list[str]]:
    woken: list[str] = []
    return AdmissionWindow(slots, woken.append), woken


def test_no_more_stars_than_slots() -> None:
    gate, _ = window(2)
    assert [gate.acquire(key, rank(key)) for key in "abc"] == [True, True, False]
    assert [gate.holds(key) for key in "abc"] == [True, True, False]


def test_to_ask_again_changes_nothing() -> None:
    gate, _ = window(1)
    assert gate.acquire("a", rank("a"))
    assert gate.acquire("a", rank("a"))
    assert not gate.acquire("b", rank("b"))
    assert not gate.acquire("b", rank("b"))


def test_a_free_slot_wakes_the_most_urgent() -> None:
    gate, woken = window(1)
    gate.acquire("a", rank("a"))
    gate.acquire("late", rank("late", created="2032"))
    gate.acquire("early", rank("early", created="2031"))
    gate.acquire("urgent", rank("urgent", priority=5, created="2033"))
    woken.clear()
    ranks = [rank("urgent", 5, "2033"), rank("early", 0, "2031"), rank("late", 0, "2032")]
    holder = "a"
    for own in ranks:
        gate.release(holder)
        holder = own[2]
        assert woken[-1] == holder
        assert gate.acquire(holder, own)


def test_a_newcomer_does_not_overtake_who_waits() -> None:
    gate, woken = window(1)
    gate.acquire("a", rank("a"))
    gate.acquire("b", rank("b", created="2031"))
    gate.release("a")
    woken.clear()
    assert not gate.acquire("new", rank("new", created="2040"))
    assert woken == ["b"], "the one whose turn it is, is reminded"
    assert gate.acquire("b", rank("b", created="2031"))


def test_a_more_urgent_newcomer_does() -> None:
    gate, _ = window(1)
    gate.acquire("a", rank("a"))
    gate.acquire("b", rank("b"))
    gate.release("a")
    assert gate.acquire("urgent", rank("urgent", priority=9))


def test_with_several_free_slots_one_after_the_other_is_woken() -> None:
    gate, woken = window(2)
    for key in "abcd":
        gate.acquire(key, rank(key))
    gate.release("a")
    gate.release("b")
    assert gate.acquire("c", rank("c"))
    assert woken[-1] == "d"
    assert gate.acquire("d", rank("d"))


def test_who_no_longer_wants_a_slot_is_not_waited_for() -> None:
    gate, woken = window(1)
    for key in "abc":
        gate.acquire(key, rank(key))
    gate.release("b")
    gate.release("a")
    assert woken[-1] == "c"
    assert gate.acquire("c", rank("c"))


def test_if_the_first_in_line_gives_up_while_a_slot_is_free_the_next_is_woken() -> None:
    gate, woken = window(1)
    for key in "abc":
        gate.acquire(key, rank(key))
    gate.release("a")
    assert woken[-1] == "b"
    gate.release("b")
    assert woken[-1] == "c"


def test_a_changed_priority_counts() -> None:
    gate, woken = window(1)
    for key in "abc":
        gate.acquire(key, rank(key))
    gate.acquire("c", rank("c", priority=3))
    gate.release("a")
    assert woken[-1] == "c"
    assert gate.acquire("c", rank("c", priority=3))
    assert not gate.acquire("b", rank("b"))


def test_stars_that_have_jobs_after_a_restart_keep_their_slots_even_beyond_the_limit() -> None:
    gate, _ = window(1)
    gate.occupy("a")
    gate.occupy("b")
    assert not gate.acquire("c", rank("c"))
    gate.release("a")
    assert not gate.acquire("c", rank("c"))
    gate.release("b")
    assert gate.acquire("c", rank("c"))


def test_nobody_waits_behind_a_star_that_cannot_take_its_turn() -> None:
    gate, woken = window(1)
    gate.acquire("a", rank("a"))
    gate.acquire("urgent", rank("urgent", priority=9))
    gate.acquire("b", rank("b"))
    gate.release("a")
    gate.withdraw("urgent")
    assert woken[-1] == "b"
    assert gate.acquire("b", rank("b"))
    gate.withdraw("b")
    assert gate.holds("b"), "what one has one keeps"
