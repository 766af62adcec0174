from __future__ import annotations

from server.companions.pace import Pace, RestartLimit


def test_pauses_double_up_to_the_longest() -> None:
    limit = RestartLimit(Pace(restarts=5, first_pause=1, longest_pause=6))
    assert [limit.next_pause(now) for now in range(5)] == [1, 2, 4, 6, 6]


def test_sixth_crash_within_the_window_is_the_last() -> None:
    limit = RestartLimit(Pace(restarts=5, window=300))
    assert all(limit.next_pause(now) is not None for now in range(5))
    assert limit.next_pause(299) is None


def test_old_crashes_are_forgiven() -> None:
    limit = RestartLimit(Pace(restarts=1, window=300, first_pause=1))
    assert limit.next_pause(0) == 1
    assert limit.next_pause(299) is None
    assert limit.next_pause(300) == 1


def test_asking_again_starts_the_count_anew() -> None:
    limit = RestartLimit(Pace(restarts=1))
    limit.next_pause(0)
    limit.forget()
    assert limit.next_pause(1) is not None
