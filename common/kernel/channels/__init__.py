"""Channels: one file a kind. Each module has ``Options``, ``check``, ``make`` and ``attach``.

- ``check(options, message_size) -> str``: why messages of this size do not fit ("" when they do);
  reads kernel limits, makes nothing.
- ``make(options, message_size, lock, maker) -> Address``: the launcher creates the objects.
  ``lock`` is the address of the lock that guards a channel in shared memory; others ignore it.
- ``attach(address, mode, wait, what, at) -> Channel``: a child opens its end; ``mode`` is
  ``"send"`` or ``"receive"``, ``at`` the step hook of the process or None.
- ``descriptors(address, mode) -> [int]``, where the launcher opens it and children inherit that:
  the launcher's descriptors that a process with this end needs. A handle owns a duplicate.
- ``make_for(options, message_size, owners, lock, maker) -> {owner: Address}``, where one object
  serves a channel that is made for each process of a group; elsewhere one is made for each.
- ``check_ends(options, per, senders, receivers) -> str``, where not any number of processes can use
  it: why these cannot ("" when they can).
- ``objects(options, count) -> int``, with ``make_for``: how many are made for ``count`` owners.
- ``counted(options) -> {kind: count}``, where ``OBJECTS`` depends on the options.
- ``charge(options, message_size) -> int``: what one counts of RLIMIT_MSGQUEUE (bytes).
- ``keep_open(address) -> end``, where senders are told that no receiver is left and the launcher
  has no descriptor that keeps them from it: they are not, until ``end()`` is called.
- ``facts(options) -> Facts``: how it behaves where the kinds differ.
- ``reset(address)``: take out whatever stands in it; the launcher asks while nobody uses it.
- ``OBJECTS``: how many objects of each kind that the kernel limits by number one channel makes at
  most, beside its lock.
- ``TELLS_REMOVAL``: whether who has it open is told that the object was removed; where that depends
  on the options, ``tells_removal(options)``.
- ``GUARDED = False``: the kernel synchronises, there is nothing for a lock to guard.
- ``WAITERS_MUST_LIVE = True``: a process that is killed while it waits for room stops the others.
- ``WALKABLE = False``: what was sent may be on its way for a while, so that "can be received now"
  is not known, and schedules cannot be walked.
- ``mend(options, lock) -> str``, where it may lose or tear messages: what would keep them ("" when
  these options do); ``lock`` is the kind of its lock.
- ``ONE_LINE = False``: each sender has a connection of its own, and order is kept in each only.
- ``ANSWERS = True``: a receiver's handle has ``reply`` and ``hang_up``, a sender's ``answer``.
- ``STEPS``: the steps that its calls mark, where they are more than the roles' own.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from common.kernel.touch import At, Touch

__all__ = ["At", "Channel", "Touch", "Window", "framed"]


class Window(NamedTuple):
    """The critical section of one send or receive on a channel in shared memory.

    Times in ns, CLOCK_MONOTONIC; ``read`` and ``written`` are the positions that it read and wrote.
    """

    entered: int
    left: int
    read: float
    written: float


class Facts(NamedTuple):
    """How a channel behaves, as the conformance suite finds it.

    ``bounded``: a full channel makes its sender wait; elsewhere what does not fit is lost.
    ``boundaries``: what one send gave is what one receive gets. ``many_senders`` and
    ``many_receivers``: several may use one end. ``kept``: a message stays when its sender has
    ended, before anybody received it. The rest are words: ``order``, ``waiting`` how a process
    waits, ``limits``, ``persists`` when the object ends, ``named`` how another process finds it,
    ``sender_dies`` what a sender leaves that is killed while it sends, ``receiver_dies`` whether
    senders are told of a receiver that is killed, and what becomes of what it did not take. What
    the lock leaves that guards a channel is that lock's own fact.
    """

    bounded: bool
    boundaries: bool
    many_senders: bool
    many_receivers: bool
    kept: bool
    order: str
    waiting: str
    limits: str
    persists: str
    named: str
    sender_dies: str
    receiver_dies: str


class Channel(Protocol):
    """Messages of bounded size, whole or not at all.

    ``window`` describes the last send or receive where the lab itself synchronises (shared
    memory), and is None where the kernel does. ``sending`` and ``receiving`` are what the first
    step of a send and of a receive touch.
    """

    window: Window | None
    sending: Touch
    receiving: Touch

    def send(self, message: bytes, priority: int = 0) -> None:
        """Send one message; 0 is normal, higher is more urgent (kinds without priority ignore it).

        Blocks while the channel is full. Raises ``WaitExpired``, ``ObjectVanished``, and
        ``KernelObjectError`` when nobody will ever receive it.
        """

    def receive(self) -> bytes | None:
        """Return the next message, or None when told to finish and the channel is empty.

        Blocks while the channel is empty. Raises ``WaitExpired`` and ``ObjectVanished``.
        """

    def abandon(self) -> None:
        """Let go of what only this process can free: a lock of the channel's, half a message."""

    def restart(self) -> None:
        """Forget what was received ahead; the launcher has emptied the channel."""

    def close(self) -> None:
        """Let go of the handle; the object stays."""


def framed(channel: Channel, asked: int, left: int) -> Window:
    """Return the critical section of the last call on ``channel``, made from ``asked`` to ``left``.

    It is the channel's own where the lab synchronises; elsewhere the call itself, at no position.
    """
    return channel.window or Window(asked, left, 0.0, 0.0)
