"""Messages between programs that wrote no history and processes that did: how many, and which text.

What a plain sender sends is what its role says (``jobs`` times its ``text``); what a plain receiver
had is what it printed. The rest nobody saw.
"""

from __future__ import annotations

import zlib
from collections import Counter

import numpy as np

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.scenario.plan import ChannelPlan, ProcessPlan
from common.verdict import unseen
from common.verdict.evidence import Result, finding, witness
from common.verdict.finding import Instance
from common.verdict.wording import many


def judge(case: Case) -> Result:
    """Return what is wrong with the number and the texts of these messages, and what is unknown."""
    result = Result()
    for channel in unseen.nameless(case.plan):
        senders, receivers = unseen.ends(case.plan, channel)
        if senders and receivers:
            result.doubts.append(
                f"{channel.name}: neither {unseen.names(senders)} nor {unseen.names(receivers)} "
                "wrote a history: what was sent and received cannot be seen"
            )
        elif not receivers:
            _received(case, channel, senders, result)
        else:
            _sent(case, channel, receivers, result)
    return result


def _received(case: Case, channel: ChannelPlan, senders: list[ProcessPlan], result: Result) -> None:
    """Compare what was taken with what the senders' role says that they send."""
    takes, offers = (_at(case, channel, effect) for effect in (Effect.TAKE, Effect.OFFER))
    counts = [each.options.get("jobs") for each in senders]
    who = unseen.names(senders) if senders else "its senders"
    if not all(isinstance(count, int) and count > 0 for count in counts):
        result.doubts.append(f"{channel.name}: nothing says how many messages {who} sends")
        return
    sent = sum(count for count in counts if count) + len(offers)
    if len(takes) < sent:
        told = (
            f"{who} had {many(sent, 'message')} to put into {channel.name}; {len(takes):,} came "
            "out of it."
        )
        lost = Instance(float(sent - len(takes)), told)
        count = sent - len(takes)
        result.findings.append(finding("job_lost", count, float(count), (lost, lost, lost)))
    elif len(takes) > sent:
        result.doubts.append(
            f"{channel.name}: {many(len(takes), 'message')} came out, and {who} had {sent:,} to "
            "send"
        )
    _compare_texts(case, channel, takes, offers, senders, result)


def _compare_texts(
    case: Case,
    channel: ChannelPlan,
    takes: Positions,
    offers: Positions,
    senders: list[ProcessPlan],
    result: Result,
) -> None:
    texts = [_text(each) for each in senders]
    if not all(texts):
        return
    who = unseen.names(senders) if senders else "anybody"
    known = np.array([zlib.crc32(text.encode()) for text in texts], np.float64)
    known = np.concatenate([known, case.history.gather("v0", offers)])
    odd = takes[~np.isin(case.history.gather("v1", takes), known)]
    if not len(odd):
        return
    first = int(odd[0])
    told = (
        f"{case.process(first)} took a message from {channel.name} that is not what "
        f"{who} sends: it was torn, cut, or somebody else's."
    )
    bad = Instance(1.0, told, [witness(case, first)])
    result.findings.append(finding("job_corrupted", len(odd), float(len(odd)), (bad, bad, bad)))


def _sent(case: Case, channel: ChannelPlan, receivers: list[ProcessPlan], result: Result) -> None:
    """Look for what was sent in what the receivers printed."""
    offers = _at(case, channel, Effect.OFFER)
    passes = _at(case, channel, Effect.PASS)
    who = unseen.names(receivers)
    wanted: Counter[str] = Counter()
    for process in case.plan.processes:
        mine = [at for at in offers.tolist() if case.process(at) == process.name]
        if mine and _text(process):
            wanted[_text(process)] += len(mine)
    if len(passes) or wanted.total() != len(offers):
        result.doubts.append(
            f"{channel.name}: what {who} did with {many(len(offers) + len(passes), 'message')} "
            "cannot be seen (a text could be looked for in what it printed: format: text)"
        )
        return
    printed = [case.outputs.get(each.name, "") for each in receivers]
    for text, count in wanted.items():
        found = sum(output.count(text.rstrip("\n")) for output in printed)
        if found < count:
            told = (
                f"{many(count, 'time')} {text!r} was put into {channel.name}; it stands {found:,} "
                f"times in what {who} printed."
            )
            lost = Instance(float(count - found), told)
            amount = count - found
            result.findings.append(finding("job_lost", amount, float(amount), (lost, lost, lost)))


def _text(process: ProcessPlan) -> str:
    """Return the text that a process sends, "" where it sends jobs of the lab."""
    text = process.options.get("text")
    return text if process.options.get("format") == "text" and isinstance(text, str) else ""


def _at(case: Case, channel: ChannelPlan, effect: Effect) -> Positions:
    found = case.history.select(effect)
    here: Positions = found[case.history.objects[found] == channel.index]
    return here
