from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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


def test_two_channels_that_both_gave_a_job_twice_are_not_mixed(tmp_path: Path) -> None:
    """The sentence is about one place: the first that gave it out twice."""
    scene = spooler(tmp_path, ring(), queue(1, "devices"))
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-1", TAKE, item(0, 1), (40, 50, 60))
    scene.job("consumer-1", PASS, item(0, 1), (61, 61, 62), channel=1)
    scene.job("printer-1", TAKE, item(0, 1), (63, 63, 64), channel=1)
    scene.job("consumer-2", TAKE, item(0, 1), (40, 65, 66))
    scene.job("consumer-2", PASS, item(0, 1), (67, 67, 68), channel=1)
    scene.job("printer-2", TAKE, item(0, 1), (69, 69, 70), channel=1)
    (found,) = job_duplicated.check(scene.case()).findings
    assert found.worst.sentence == (
        "job 1 of producer-1 was offered once: consumer-1 and consumer-2 took it from jobs."
    )
    assert (found.count, found.total) == (1, 1.0)


def test_receivers_with_queues_of_their_own_are_different_places(tmp_path: Path) -> None:
    """Each of two printers got a copy once; who handed it on twice is to blame."""
    devices = ChannelPlan("devices", 1, Part("fifo"), Part("none"), 64, per="printer")
    scene = spooler(tmp_path, ring(), devices)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-1", TAKE, item(0, 1), (40, 50, 60))
    scene.job("consumer-1", PASS, item(0, 1), (61, 61, 62), channel=1)
    scene.job("printer-1", TAKE, item(0, 1), (63, 63, 64), channel=1)
    scene.job("consumer-1", PASS, item(0, 1), (67, 67, 68), channel=1)
    scene.job("printer-2", TAKE, item(0, 1), (69, 69, 70), channel=1)
    (found,) = job_duplicated.check(scene.case()).findings
    assert found.worst.sentence == (
        "job 1 of producer-1 was offered once: consumer-1 handed it on twice to devices."
    )


def test_a_receiver_that_gets_a_job_twice_from_its_own_queue(tmp_path: Path) -> None:
    """There it is one place, and another receiver's copy is not told beside it."""
    devices = ChannelPlan("devices", 0, Part("fifo"), Part("none"), 64, per="printer")
    scene = spooler(tmp_path, devices)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-1", TAKE, item(0, 1), (40, 41, 42))
    for at in (50, 60):
        scene.job("printer-1", TAKE, item(0, 1), (at, at, at + 5))
    (found,) = job_duplicated.check(scene.case()).findings
    assert found.worst.sentence == (
        "job 1 of producer-1 was offered once: printer-1 took it twice from devices."
    )
    assert found.total == 1.0


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


def test_a_body_that_came_with_another_checksum_is_corrupted(tmp_path: Path) -> None:
    """Both were replaced together: only the offer tells."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    for who, code in (("consumer-1", TAKE), ("printer-1", PRINT)):
        scene.job(who, code, item(0, 1), (40, 50, 60), body=9.0, declared=9.0)
    (found,) = job_corrupted.check(scene.case()).findings
    assert found.count == 1
    assert found.worst.sentence == (
        "producer-1 offered job 1 of producer-1 with the checksum 7; consumer-1 (take, jobs) got "
        "it with 9: another body came under its name."
    )


@pytest.mark.parametrize(("begun", "count"), [(60, 0), (61, 1)])
def test_a_job_that_was_taken_before_it_was_put_came_from_nowhere(
    tmp_path: Path, begun: int, count: int
) -> None:
    """The taking was over before the putting began; at one stamp it may just have been there."""
    scene = spooler(tmp_path)
    scene.job("consumer-1", TAKE, item(0, 1), (40, 50, 60))
    scene.job("producer-1", PUT, item(0, 1), (0, begun, 70))
    found = job_corrupted.check(scene.case()).findings
    assert sum(each.count for each in found) == count
    if count:
        assert found[0].worst.sentence == (
            "consumer-1 (take, jobs) got job 1 of producer-1 1 ns before producer-1 began to put "
            "it there."
        )


def test_a_job_that_nobody_put_into_a_channel_came_from_nowhere_too(tmp_path: Path) -> None:
    """It was offered elsewhere; but who died may have handed it on without a record."""
    scene = spooler(tmp_path, ring(), queue(1, "devices"))
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("printer-1", TAKE, item(0, 1), (70, 70, 85), channel=1)
    (found,) = job_corrupted.check(scene.case()).findings
    assert found.worst.sentence == (
        "producer-1 offered job 1 of producer-1 to jobs; printer-1 (take, devices) got it, and "
        "nobody ever put it there."
    )
    scene.outcomes["consumer-1"].phase = "run"
    assert job_corrupted.check(scene.case()).findings == []


def test_a_job_that_nobody_answered_may_have_come_all_the_same(tmp_path: Path) -> None:
    """Its sender counts it as not accepted and records nothing: so many, and not one more."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-1", TAKE, item(0, 3), (40, 50, 60))
    assert job_corrupted.check(scene.case()).findings[0].count == 1
    scene.outcomes["producer-1"].summary["unaccepted"] = 1
    assert job_corrupted.check(scene.case()).findings == []
    scene.job("consumer-1", TAKE, item(0, 5), (70, 80, 90))
    assert job_corrupted.check(scene.case()).findings[0].count == 2


@pytest.mark.parametrize(
    "end",
    [
        {"signal": 9},
        {"phase": "run", "error": {"kind": "KernelObjectError", "message": "nobody receives"}},
    ],
)
def test_the_last_job_of_a_cut_off_producer_may_be_unrecorded(
    end: dict[str, Any], tmp_path: Path
) -> None:
    """It was sent, and its sender died or failed before it said so; the next is an invention."""
    scene = spooler(tmp_path)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 30))
    scene.job("consumer-1", TAKE, item(0, 2), (40, 50, 60))
    assert job_corrupted.check(scene.case()).findings[0].count == 1
    for name, value in end.items():
        setattr(scene.outcomes["producer-1"], name, value)
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


def handed_over(tmp_path: Path, channel: ChannelPlan, begun: int, taker: str) -> Scene:
    """Return a run in which a job put at 10 to 15 comes after another, put from ``begun`` on."""
    scene = spooler(tmp_path, channel)
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 15))
    scene.job("producer-2", PUT, item(1, 1), (0, begun, 30))
    scene.job("consumer-1", TAKE, item(1, 1), (40, 50, 60))
    scene.job(taker, TAKE, item(0, 1), (70, 80, 90))
    return scene


FIFO = ChannelPlan("jobs", 0, Part("fifo"), Part("none"), 64)
AHEAD = ChannelPlan("jobs", 0, Part("fifo", {"batch": True}), Part("none"), 64)
TWO_FIFOS = ChannelPlan("jobs", 0, Part("fifo", {"priorities": 2}), Part("none"), 64)


@pytest.mark.parametrize("channel", [ring(), queue(), queue(priorities=2), FIFO, AHEAD])
def test_a_job_of_another_sender_that_was_put_strictly_later_comes_later(
    tmp_path: Path, channel: ChannelPlan
) -> None:
    """A channel is one line, whoever stands in it; the sentence says how much earlier it was."""
    scene = handed_over(tmp_path, channel, 16, "consumer-1")
    (found,) = job_reordered.check(scene.case()).findings
    assert found.count == 1
    assert found.worst.sentence == (
        "consumer-1 took job 1 of producer-2 from jobs before job 1 of producer-1, which "
        "producer-1 had sent 1 ns before producer-2 began to."
    )
    operations = [(each.process, each.operation) for each in found.worst.witnesses]
    assert operations == [
        ("producer-1", "put"), ("producer-2", "put"), ("consumer-1", "take"), ("consumer-1", "take")
    ]  # fmt: skip


def test_jobs_that_were_put_at_one_stamp_have_no_order(tmp_path: Path) -> None:
    """Intervals are closed: the later one may have been the first."""
    scene = handed_over(tmp_path, ring(), 15, "consumer-1")
    assert job_reordered.check(scene.case()).findings == []


def test_what_one_process_does_is_in_its_order_at_equal_stamps(tmp_path: Path) -> None:
    """One who took both took one after the other, and one who put both did too."""
    for how, begun in (("other", 16), ("same", 15)):
        scene = spooler(tmp_path / how)
        second = item(int(how == "other"), 2)
        scene.job("producer-1", PUT, item(0, 1), (0, 10, 15))
        scene.job(f"producer-{(second >> 32) + 1}", PUT, second, (0, begun, 30))
        scene.job("consumer-1", TAKE, second, (40, 50, 60))
        scene.job("consumer-1", TAKE, item(0, 1), (60, 60, 90))
        assert job_reordered.check(scene.case()).findings[0].count == 1


def test_who_reads_ahead_holds_back_what_others_overtake(tmp_path: Path) -> None:
    """With batch a receiver takes from what it read before; only its own takings are in order."""
    scene = handed_over(tmp_path, AHEAD, 16, "consumer-2")
    assert job_reordered.check(scene.case()).findings == []


def test_of_a_job_that_was_put_twice_nobody_knows_which_was_taken(tmp_path: Path) -> None:
    """The first copy may have been lost: the second one overtook nobody."""
    scene = handed_over(tmp_path, ring(), 16, "consumer-1")
    scene.job("consumer-2", PASS, item(0, 1), (31, 31, 35))
    assert job_reordered.check(scene.case()).findings == []


def test_the_one_that_was_taken_first_is_told(tmp_path: Path) -> None:
    """Of two that were put there later, only the second had a taker before."""
    scene = spooler(tmp_path)
    for number in (1, 2, 3):
        scene.job("producer-1", PUT, item(0, number), (0, 10 * number, 10 * number + 5))
    for at, number in enumerate((3, 1, 2), start=5):
        scene.job("consumer-1", TAKE, item(0, number), (10 * at, 10 * at + 1, 10 * at + 5))
    (found,) = job_reordered.check(scene.case()).findings
    assert found.count == 2
    assert found.first.sentence.startswith("consumer-1 took job 3 of producer-1 from jobs before")


def test_an_overtaken_job_counts_once(tmp_path: Path) -> None:
    """However many went before it: of its own sender, of others, and less urgent ones."""
    scene = spooler(tmp_path, queue(priorities=2))
    scene.job("producer-1", PUT, item(0, 1), (0, 10, 15), priority=1)
    scene.job("producer-1", PUT, item(0, 2), (0, 20, 25), priority=1)
    scene.job("producer-2", PUT, item(1, 1), (0, 30, 35), priority=1)
    scene.job("producer-2", PUT, item(1, 2), (0, 40, 45))
    for at, job in enumerate((item(1, 2), item(1, 1), item(0, 2), item(0, 1)), start=5):
        scene.job("consumer-1", TAKE, job, (10 * at, 10 * at + 1, 10 * at + 5))
    (found,) = job_reordered.check(scene.case()).findings
    assert found.count == 3


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


@pytest.mark.parametrize(("channel", "count"), [(queue(priorities=2), 1), (TWO_FIFOS, 0)])
def test_who_was_waiting_takes_nothing_before_it_is_there(
    tmp_path: Path, channel: ChannelPlan, count: int
) -> None:
    """A queue is looked into as a whole; into two FIFOs one after the other, the urgent one first.

    The normal job was put there when the urgent one had been, and its taker was waiting all along.
    """
    scene = spooler(tmp_path, channel)
    scene.job("producer-2", PUT, item(1, 9), (0, 10, 20), priority=1)
    scene.job("producer-1", PUT, item(0, 1), (0, 30, 40))
    scene.job("consumer-1", TAKE, item(0, 1), (5, 5, 50))
    scene.job("consumer-1", TAKE, item(1, 9), (60, 60, 70), priority=1)
    found = job_reordered.check(scene.case()).findings
    assert [each.count for each in found] == [1] * count
    assert all("waiting there for 10 ns" in each.worst.sentence for each in found)


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
