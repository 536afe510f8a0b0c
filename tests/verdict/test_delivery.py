from __future__ import annotations

from pathlib import Path

from common.scenario.plan import ChannelPlan, Part
from common.verdict.properties import job_corrupted, job_duplicated, job_lost, job_reordered
from spooler.operations import PASS, PRINT, PUT, TAKE
from tests.verdict.scenes import Scene, item, queue, ring


def spooler(tmp_path: Path, *channels: ChannelPlan) -> Scene:
    """Return a run with two producers (0 and 1), two consumers, and a printer."""
    scene = Scene(tmp_path / "run", channels=list(channels or (ring(),)))
    for name in ("producer-1", "producer-2", "consumer-1", "consumer-2", "printer-1"):
        scene.recorder(name, name.rpartition("-")[0])
    return scene


def test_a_lost_job_names_the_offer_that_took_its_place(tmp_path: Path) -> None:
    """Two producers who read one position of the ring: the sentence names both and the place."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 3), (0, 10, 30), position=7)
    scene.job("producer-2", PUT, item(1, 5), (0, 20, 40), position=7)
    scene.job("consumer-1", TAKE, item(1, 5), (50, 60, 70), position=7)
    scene.job("printer-1", PRINT, item(1, 5), (80, 80, 90))
    (found,) = job_lost.check(scene.case()).findings
    assert found.worst.sentence == (
        "producer-1 offered job 3 of producer-1 to jobs; producer-2 was there at the same time, "
        "read the same position 7 and placed job 5 of producer-2 there too; nobody ever took job 3 "
        "of producer-1."
    )
    assert (found.count, found.total) == (1, 1.0)
    assert found.explanation.startswith("1 job of 2 was offered and never delivered.")
    assert [witness.process for witness in found.worst.witnesses] == ["producer-1", "producer-2"]


def test_the_same_position_at_another_time_is_not_the_cause(tmp_path: Path) -> None:
    """Only offers whose intervals meet can have raced."""
    scene = spooler(tmp_path)
    scene.job("producer-2", PUT, item(1, 1), (0, 1, 9), position=7)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30), position=7)
    scene.job("producer-2", PUT, item(1, 2), (0, 31, 40), position=7)
    for number in (1, 2):
        scene.job("printer-1", PRINT, item(1, number), (80, 80, 90))
    (found,) = job_lost.check(scene.case()).findings
    assert found.worst.sentence == (
        "producer-1 offered job 1 of producer-1 to jobs; nobody ever took it."
    )


def test_a_job_that_was_taken_is_last_seen_at_its_taker(tmp_path: Path) -> None:
    """Where a job was last seen, and whether that process was killed."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-2", TAKE, item(0, 1), (40, 50, 60))
    scene.outcomes["consumer-2"].signal = 9
    (found,) = job_lost.check(scene.case()).findings
    assert found.worst.sentence == (
        "producer-1 offered job 1 of producer-1 to jobs; consumer-2 took it from jobs and never "
        "delivered it: it was killed by signal 9."
    )


def test_a_job_handed_on_is_last_seen_in_the_next_channel(tmp_path: Path) -> None:
    """The trail goes on through every channel."""
    scene = spooler(tmp_path, ring(), queue(1, "devices"))
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-2", TAKE, item(0, 1), (40, 50, 60))
    scene.job("consumer-2", PASS, item(0, 1), (70, 70, 80), channel=1)
    (found,) = job_lost.check(scene.case()).findings
    assert found.worst.sentence == (
        "producer-1 offered job 1 of producer-1 to jobs; consumer-2 handed it on to devices; "
        "nobody ever took it."
    )


def test_jobs_under_way_at_an_interruption_are_a_doubt(tmp_path: Path) -> None:
    """What the user cut off was not lost by the system."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    result = job_lost.check(scene.case(interrupted=2))
    assert result.findings == []
    assert result.doubts == ["1 job was under way when the run was interrupted"]


def test_a_job_printed_twice_names_both_who_took_it(tmp_path: Path) -> None:
    """Two consumers who read one position take one job twice."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    for number, who in enumerate(("consumer-1", "consumer-2")):
        scene.job(who, TAKE, item(0, 1), (40, 50 + number, 60 + number))
    for at in (70, 90):
        scene.job("printer-1", PRINT, item(0, 1), (at, at, at + 10))
    (found,) = job_duplicated.check(scene.case()).findings
    assert found.worst.sentence == (
        "job 1 of producer-1 was offered once: consumer-1 and consumer-2 took it from jobs; it was "
        "delivered 2 times, by printer-1 on the paper."
    )
    assert (found.count, found.total) == (1, 1.0)


def test_a_job_taken_twice_and_printed_once_is_duplicated(tmp_path: Path) -> None:
    """The second copy may have died with its taker; it was one too many all the same."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    for at in (40, 50, 60):
        scene.job("consumer-1", TAKE, item(0, 1), (at, at, at + 5))
    scene.job("printer-1", PRINT, item(0, 1), (70, 70, 80))
    (found,) = job_duplicated.check(scene.case()).findings
    assert (found.count, found.total) == (1, 2.0)


def test_a_job_that_goes_through_two_channels_is_not_duplicated(tmp_path: Path) -> None:
    """Each channel gives it out once."""
    scene = spooler(tmp_path, ring(), queue(1, "devices"))
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-1", TAKE, item(0, 1), (40, 50, 60))
    scene.job("consumer-1", PASS, item(0, 1), (70, 70, 80), channel=1)
    scene.job("printer-1", TAKE, item(0, 1), (70, 70, 85), channel=1)
    scene.job("printer-1", PRINT, item(0, 1), (90, 90, 95))
    case = scene.case()
    for judge in (job_lost, job_duplicated, job_corrupted, job_reordered):
        assert judge.check(case).findings == []


def test_a_body_that_fails_its_checksum_is_corrupted_once(tmp_path: Path) -> None:
    """A job mixed of two is one corrupted job, however many hands it went through."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-1", TAKE, item(0, 1), (40, 50, 60), body=9.0)
    scene.job("printer-1", PRINT, item(0, 1), (70, 70, 80), body=9.0)
    (found,) = job_corrupted.check(scene.case()).findings
    assert found.count == 1
    assert found.worst.sentence == (
        "producer-1 offered job 1 of producer-1; consumer-1 (take, jobs) got it with the checksum "
        "9 where 7 was declared: its body is not the one that was sent."
    )


def test_a_job_that_nobody_offered_is_corrupted(tmp_path: Path) -> None:
    """A name from nowhere is damage too."""
    scene = spooler(tmp_path)
    scene.job("consumer-1", TAKE, item(77, 1), (40, 50, 60))
    (found,) = job_corrupted.check(scene.case()).findings
    assert found.worst.sentence == (
        "consumer-1 (take, jobs) got job 0x4d00000001, which nobody ever offered."
    )


def test_the_last_job_of_a_killed_producer_may_be_unrecorded(tmp_path: Path) -> None:
    """It was sent, and its sender died before it could say so; the one after it is an invention."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-1", TAKE, item(0, 2), (40, 50, 60))
    assert job_corrupted.check(scene.case()).findings[0].count == 1
    scene.outcomes["producer-1"].signal = 9
    assert job_corrupted.check(scene.case()).findings == []
    scene.job("consumer-1", TAKE, item(0, 3), (70, 80, 90))
    assert job_corrupted.check(scene.case()).findings[0].count == 1


def test_an_earlier_job_that_was_taken_strictly_later_is_reordered(tmp_path: Path) -> None:
    """First in, first out: the sentence names the job that came too soon."""
    scene = spooler(tmp_path)
    for number in (1, 2):
        scene.job("producer-1", PUT, item(0, number), (0, 10 * number, 10 * number + 5))
    scene.job("consumer-1", TAKE, item(0, 2), (40, 50, 60))
    scene.job("consumer-2", TAKE, item(0, 1), (40, 61, 70))
    (found,) = job_reordered.check(scene.case()).findings
    assert found.count == 1
    assert found.worst.sentence == (
        "consumer-1 took job 2 of producer-1 from jobs before job 1 of producer-1, which "
        "producer-1 had sent before it."
    )


def test_takes_whose_intervals_touch_prove_no_order(tmp_path: Path) -> None:
    """Intervals are closed: an end and a beginning at one stamp may have been either way round."""
    scene = spooler(tmp_path)
    for number in (1, 2):
        scene.job("producer-1", PUT, item(0, number), (0, 10 * number, 10 * number + 5))
    scene.job("consumer-1", TAKE, item(0, 2), (40, 50, 60))
    scene.job("consumer-2", TAKE, item(0, 1), (40, 60, 70))
    assert job_reordered.check(scene.case()).findings == []


def test_jobs_of_different_senders_have_no_order(tmp_path: Path) -> None:
    """Only what one process sent keeps its order."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 15))
    scene.job("producer-2", PUT, item(1, 1), (0, 12, 20))
    scene.job("consumer-1", TAKE, item(1, 1), (40, 50, 60))
    scene.job("consumer-1", TAKE, item(0, 1), (70, 80, 90))
    assert job_reordered.check(scene.case()).findings == []


def urgent_case(tmp_path: Path, channel: ChannelPlan, offered: int, began: int) -> Scene:
    """Return a run in which a normal job is taken at ``began``, an urgent one only afterwards."""
    scene = spooler(tmp_path, channel)
    scene.job("producer-1", PUT, item(0, 1), (0, 0, 5))
    scene.job("producer-2", PUT, item(1, 9), (0, 0, offered), priority=1)
    scene.job("consumer-1", TAKE, item(0, 1), (began, began, 60))
    scene.job("consumer-1", TAKE, item(1, 9), (70, 70, 80), priority=1)
    return scene


def test_an_urgent_job_that_waited_while_another_was_taken(tmp_path: Path) -> None:
    """The sentence says how long it had been waiting when the less urgent one was taken."""
    scene = urgent_case(tmp_path, queue(priorities=2), offered=10, began=50)
    (found,) = job_reordered.check(scene.case()).findings
    assert found.worst.sentence == (
        "consumer-1 took job 1 of producer-1 from jobs though job 9 of producer-2, which is more "
        "urgent, had been waiting there for 40 ns."
    )


def test_an_urgent_job_that_came_during_the_taking_was_not_passed_over(tmp_path: Path) -> None:
    """The taking must have begun after the offer was complete: closed intervals again."""
    scene = urgent_case(tmp_path, queue(priorities=2), offered=50, began=50)
    assert job_reordered.check(scene.case()).findings == []


def test_a_channel_without_priorities_is_not_asked_for_them(tmp_path: Path) -> None:
    """A FIFO or a ring passes urgent jobs in their turn."""
    scene = urgent_case(tmp_path, queue(), offered=10, began=50)
    assert job_reordered.check(scene.case()).findings == []


def test_each_receiver_of_a_channel_of_its_own_is_in_order_by_itself(tmp_path: Path) -> None:
    """Where each process has a channel of its own, the others' takings say nothing."""
    own = ChannelPlan("fills", 0, Part("fifo"), Part("none"), 64, per="client")
    scene = spooler(tmp_path, own)
    for number in (1, 2):
        scene.job("producer-1", PUT, item(0, number), (0, 10 * number, 10 * number + 5))
    scene.job("consumer-1", TAKE, item(0, 2), (40, 50, 60))
    scene.job("consumer-2", TAKE, item(0, 1), (40, 61, 70))
    assert job_reordered.check(scene.case()).findings == []
