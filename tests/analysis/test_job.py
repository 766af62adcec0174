"""The ways of a job from state to state, without anything around them."""

from __future__ import annotations

from server.analysis import job as jobs
from server.analysis.job import Claim, Job, Priority, State
from server.analysis.pace import Pace
from server.analysis.stage import FIRST, Stage, options, ordered

CLAIM = Claim("me", "server", "http://me", "hash", 10, 70_000, 300_000)


def _running(*stages: Stage) -> Job:
    job = jobs.requested(jobs.fresh("a", 0), stages or FIRST, Priority.NORMAL, None, 5)
    return jobs.claimed(job, CLAIM)


def test_last_stage_completes_a_job() -> None:
    job = jobs.stage_arrived(_running(), Stage.CHARACTERISTICS, 20, 400)
    assert (job.state, job.stages, job.deadline) == (State.RUNNING, (Stage.BASIC_FEATURES,), 400)
    job = jobs.stage_arrived(job, Stage.BASIC_FEATURES, 30, 500)
    assert (job.state, job.stages, job.finished_at) == (State.COMPLETED, (), 30)


def test_attempt_after_the_last_retry_fails_the_job() -> None:
    job = _running()
    for _ in range(3):
        job = jobs.attempt_failed(job, "no", 20, 30, 3)
        assert (job.state, job.not_before) == (State.QUEUED, 30)
        job = jobs.claimed(job, CLAIM)
    job = jobs.attempt_failed(job, "no", 40, 50, 3)
    assert (job.state, job.attempts, job.error) == (State.FAILED, 4, "no")


def test_failure_that_comes_after_the_end_changes_nothing() -> None:
    done = jobs.stage_arrived(_running(Stage.GENRE), Stage.GENRE, 20, 30)
    assert jobs.attempt_failed(done, "late", 40, 50, 3) is done
    assert jobs.lost(done, "late", 40, 50, 3) is done
    assert jobs.put_back(done) is done
    assert jobs.server_finished(done, 50) is done


def test_losses_are_counted_apart_from_attempts() -> None:
    job = jobs.lost(_running(), "gone", 20, 30, 1)
    assert (job.state, job.attempts, job.losses) == (State.QUEUED, 0, 1)
    job = jobs.lost(jobs.claimed(job, CLAIM), "gone", 40, 50, 1)
    assert (job.state, job.losses) == (State.FAILED, 2)


def test_end_at_the_server_shortens_the_wait_and_never_prolongs_it() -> None:
    assert jobs.server_finished(_running(), 100).deadline == 100
    assert jobs.server_finished(_running(), 10**9).deadline == CLAIM.deadline


def test_request_for_nothing_new_leaves_a_job_as_it_is() -> None:
    job = jobs.requested(jobs.fresh("a", 0), FIRST, Priority.LOW, None, 5)
    assert jobs.requested(job, (), Priority.URGENT, None, 6) is job


def test_more_urgent_request_ends_the_wait_for_a_retry() -> None:
    job = jobs.attempt_failed(_running(), "no", 20, 9_000, 3)
    assert jobs.requested(job, FIRST, Priority.NORMAL, None, 30).not_before == 9_000
    assert jobs.requested(job, FIRST, Priority.HIGH, None, 30).not_before == 0


def test_options_name_the_stages_and_all_of_them() -> None:
    assert options(FIRST) == {"basic_features": True, "characteristics": True}
    assert options(tuple(Stage)) == {"all": True, **{str(stage): True for stage in Stage}}
    assert ordered(["stems", "genre", "genre"]) == (Stage.GENRE, Stage.STEMS)


def test_retries_wait_five_seconds_and_double() -> None:
    pace = Pace(timeout=300, retries=3)
    for attempts, seconds in enumerate((5, 10, 20, 40)):
        assert 0.8 * seconds * 1000 <= pace.retry_pause_ms(attempts) <= 1.2 * seconds * 1000
    assert pace.retry_pause_ms(50) <= 1.2 * 3_600_000
