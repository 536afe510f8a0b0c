"""A table without a lock, simulated step by step: what traders do to each other there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from exchange.operations import BUY, SELL
from tests.verdict.scenes import Scene


class Trader:
    """A trader of the simulator: it checks, reads, writes and records, a step at a time."""

    def __init__(self, market: Market, name: str, amounts: list[tuple[int, float]]) -> None:
        self.market, self.name = market, name
        self.life = self.steps(amounts)

    def steps(self, amounts: list[tuple[int, float]]) -> Iterator[None]:
        market = self.market
        for row, amount in amounts:
            asked = market.now
            market.flying[self.name] = (row, amount, asked)
            yield
            checked = market.stocks[row]
            if amount < 0 and checked < -amount:
                times, values = (asked, asked, market.now), (-amount, checked)
                market.scene.record(self.name, SELL, row, times, values, refused=True)
                del market.flying[self.name]
                continue
            yield
            read = market.stocks[row]
            yield
            market.stocks[row] = read + amount
            yield
            market.scene.trade(self.name, amount, read, (asked, asked, market.now), row, checked)
            del market.flying[self.name]
            market.done.append((row, amount))


class Market:
    """A table without a lock, and what really became of it; whoever is killed leaves one record."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.now = 100
        self.stocks = [scene.stock] * len(scene.rows)
        self.flying: dict[str, tuple[int, float, int]] = {}
        self.done: list[tuple[int, float]] = []

    def run(
        self, programs: list[list[tuple[int, float]]], turns: list[int], deaths: set[int]
    ) -> None:
        """Let the traders go on as ``turns`` says who is next; at ``deaths`` that one is killed."""
        living = [Trader(self, f"trader-{n}", each) for n, each in enumerate(programs)]
        for trader in living:
            self.scene.recorder(trader.name)
        for step, turn in enumerate(itertools.cycle(turns)):
            if not living:
                break
            trader = living[turn % len(living)]
            self.now += turn % 3
            if step in deaths and trader.name in self.flying:
                self._kill(trader)
                living.remove(trader)
            elif next(trader.life, "over") == "over":
                living.remove(trader)
        self.scene.final = self.stocks

    def _kill(self, trader: Trader) -> None:
        row, amount, asked = self.flying.pop(trader.name)
        code = BUY if amount > 0 else SELL
        self.scene.record(trader.name, code, row, (asked, asked, 0), (abs(amount),))
        outcome = self.scene.outcomes[trader.name]
        outcome.signal, outcome.exit, outcome.phase = 9, None, "run"
