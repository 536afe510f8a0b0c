"""The person is the scheduler: at each turn the table, who stands where, and who may go.

Nothing is simulated: the processes are real, each stands at its step until it is chosen. Undo puts
everything back and passes the same steps again, but for the last choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from common.exploration.observing import Observer
from common.exploration.walking import Shared, Walker, moves
from common.history import record
from common.history.operations import Operation
from common.kinds import nearest
from common.process.players import Player, Stand
from common.process.stage import Stage
from common.scenario.plan import Plan
from common.scenario.schedule import Move
from common.verdict.wording import number

# Asks the person one question and returns the answer; None when there will be no more.
Ask = Callable[[str], str | None]
Say = Callable[[str], None]

HELP = """\
  1, 2, … or a name   that process passes the step at which it stands
  u                   undo the last choice
  r                   let all go on in order, to the end
  q                   stop here: the run is judged as far as it came
  ?                   this help"""


class Game:
    """Leads the processes as a person chooses; afterwards ``moves`` is the schedule.

    ``predict`` hides every value and asks for it when a process is about to read or write it.
    ``fields`` are the names of a row's cells, in order.
    """

    def __init__(
        self,
        plan: Plan,
        operations: Mapping[int, Operation],
        fields: tuple[str, ...],
        ask: Ask,
        say: Say,
        *,
        predict: bool = False,
    ) -> None:
        self.plan = plan
        self.operations = operations
        self.fields = fields
        self.ask = ask
        self.say = say
        self.predict = predict
        self.moves: list[Move] = []
        self.right = self.asked = 0
        self._chosen: list[int] = []
        # What each process has last seen or done, in words.
        self._did: dict[int, str] = {}

    def __call__(self, stage: Stage) -> None:
        """Play until everybody has ended, nobody can go on, or the person stops."""
        self.stage = stage
        self.observer = Observer(self.plan, stage, self.operations)
        self.shared = Shared([])
        self.walker = Walker(stage, self.observer, self.shared)
        self.walker.skim()
        try:
            self._replay()
            self.say(HELP)
            self._play()
            # Whoever could go on and may not: the schedule says so, or it could not be followed.
            for chosen in stage.unfinished() if stage.enabled() else []:
                stage.leave(chosen)
        finally:
            self.moves = moves(stage, self.shared)
        if self.predict and self.asked:
            self.say(f"{self.right} of {self.asked} values were right")

    def _play(self) -> None:
        stage, lost = self.stage, ""
        while stage.unfinished() and not stage.interrupted():
            if stage.lost != lost:
                lost = stage.lost
                self.say(f"\n{lost}: the others can go on, and nothing can be undone any more")
            self._show()
            if stage.stuck():
                self.say("nobody can go on: this is a deadlock")
                if self._question("u to undo, anything else to end > ") != "u" or lost:
                    break
                self._undo()
            elif not self._turn():
                break

    def _turn(self) -> bool:
        """Ask for one choice; False when the person stops."""
        answer = self._question("who goes? > ")
        enabled = self.stage.enabled()
        names = {self.stage.players[n].name: n for n in range(len(self.stage.players))}
        match answer:
            case None | "q":
                return False
            case "?":
                self.say(HELP)
            case "u":
                self._undo()
            case "r":
                while (enabled := self.stage.enabled()) and not self.stage.interrupted():
                    self._go(enabled[0])
            case _:
                chosen = names.get(answer, int(answer) - 1 if _is_number(answer) else -1)
                if chosen in enabled:
                    self._foretell(chosen)
                    self._go(chosen)
                elif 0 <= chosen < len(self.stage.players):
                    self.say(f"  {self.stage.players[chosen].name} cannot go now")
                else:
                    choices = [self.stage.players[n].name for n in enabled]
                    self.say(f"  {answer!r} is nobody here ({nearest(answer, choices)}; ? helps)")
        return True

    def _question(self, prompt: str) -> str | None:
        answer = self.ask(prompt)
        return None if answer is None else answer.strip()

    def _go(self, chosen: int) -> None:
        self._chosen.append(chosen)
        self._pass(chosen)
        self._settle()

    def _pass(self, chosen: int) -> None:
        player = self.stage.players[chosen]
        stand = player.stand
        assert stand is not None
        before = self._values()
        self.stage.go(chosen)
        self._did[chosen] = self._told(stand, before, self._values())

    def _settle(self) -> None:
        for number_, player in enumerate(self.stage.players):
            while player.enabled and player.stand and not self.shared.covers(player.stand):
                if self.stage.interrupted():
                    return
                self.stage.go(number_)

    def _undo(self) -> None:
        if self.stage.lost:
            self.say(f"  {self.stage.lost}: nothing can be undone any more")
            return
        if not self._chosen:
            self.say("  nothing was chosen yet")
            return
        self._chosen.pop()
        self._replay()

    def _replay(self) -> None:
        """Put everything back and make the same choices again."""
        self.walker.begin()
        self._did = {}
        self._settle()
        for chosen in self._chosen:
            self._pass(chosen)
            self._settle()

    def _values(self) -> dict[str, float]:
        rows = self.stage.rows()
        if self.plan.table is None or rows is None:
            return {}
        return {
            f"{name}.{field}": value
            for name, row in zip(self.plan.table.names, rows, strict=True)
            for field, value in zip(self.fields, row, strict=True)
        }

    def _told(self, stand: Stand, before: dict[str, float], after: dict[str, float]) -> str:
        cells = sorted((stand.changes or stand.reads) & before.keys() & self.shared.names)
        if not cells:
            return f"{stand.step} done"
        seen = after if stand.changes else before
        verb = "wrote" if stand.changes else {"check": "checked"}.get(stand.step, stand.step)
        return f"{verb} " + ", ".join(f"{cell} {self._shown(seen[cell])}" for cell in cells)

    def _shown(self, value: float) -> str:
        return number(value, decimals=6)

    def _foretell(self, chosen: int) -> None:
        """Ask what a step will read or write, and say what it was."""
        player = self.stage.players[chosen]
        if not self.predict or player.stand is None or self.stage.lost:
            return
        stand = player.stand
        cells = sorted((stand.changes or stand.reads) & self._values().keys() & self.shared.names)
        for cell in cells:
            verb = "write to" if stand.changes else "see in"
            answer = self._question(f"  what will {player.name} {verb} {cell}? > ")
            if answer is None:
                return
            self.asked += 1
            truth = self._after(chosen, cell) if stand.changes else self._values()[cell]
            right = _same(answer, truth)
            self.right += right
            self.say(f"  {'right' if right else 'no'}: {self._shown(truth)}")

    def _after(self, chosen: int, cell: str) -> float:
        """Return what a step is about to write: let it happen, look, and put everything back."""
        self._pass(chosen)
        value = self._values()[cell]
        self._replay()
        return value

    def _show(self) -> None:
        values = self._values()
        shared = {cell: value for cell, value in values.items() if cell in self.shared.names}
        if shared:
            told = ", ".join(
                f"{cell} {'?' if self.predict else self._shown(value)}"
                for cell, value in shared.items()
            )
            self.say(f"\nturn {len(self._chosen) + 1}: {told}")
        else:
            self.say(f"\nturn {len(self._chosen) + 1}")
        width = max(len(player.name) for player in self.stage.players)
        for at, player in enumerate(self.stage.players):
            self.say(f"  {at + 1}  {player.name:<{width}}  {self._place(at, player)}")

    def _place(self, at: int, player: Player) -> str:
        did = "" if self.predict else self._did.get(at, "")
        stand = player.stand
        if player.lost:
            return player.lost.removeprefix(f"{player.name} ")
        if stand is None:
            return f"has ended{f' ({did})' if did else ''}"
        touched = ", ".join(sorted((stand.changes or stand.reads) & self.shared.names))
        next_step = f"next: {stand.step} {touched}"
        if not player.ready:
            holder = self.stage.holders.get(stand.waits_for)
            held = "" if holder is None else f", which {self.stage.players[holder].name} has"
            next_step = f"waits for {stand.waits_for}{held}"
        doing = self._doing(at)
        return "; ".join(part for part in (doing, did, next_step) if part)

    def _doing(self, at: int) -> str:
        records = self.observer.records(at)
        if not len(records) or records[-1][record.LEFT]:
            return ""
        kind, amount = int(records[-1][record.KIND]), float(records[-1][record.V0])
        operation = self.operations.get(kind % record.OBJECT)
        if operation is None or operation.place != "table" or self.plan.table is None:
            return ""
        row = self.plan.table.names[kind // record.OBJECT % 256]
        return f"{operation.name} {self._shown(amount)} {row}" if operation.sign else operation.name


def _is_number(answer: str) -> bool:
    return answer.isdecimal() and len(answer) < 6


def _same(answer: str, truth: float) -> bool:
    """Whether a person's number is the value, to the places that are shown."""
    try:
        given = float(answer.replace(",", ""))
    except ValueError:
        return False
    return number(given, decimals=6) == number(truth, decimals=6)
