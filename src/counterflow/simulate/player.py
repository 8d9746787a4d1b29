"""The people of a story: what they wait for, and what they do then. What a step needs of a case is in its view."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from counterflow.core.returns.case import View
from counterflow.simulate.looks import case_names, holds
from counterflow.simulate.script import PEOPLE, Step, Story, bind


@dataclass
class Playing:
    """One story as far as it has come. `since`: when the step's conditions began to hold."""

    story: Story
    at: int = 0
    since: float | None = None
    names: dict[str, Any] = field(default_factory=dict)
    busy: bool = False
    told: list[str] = field(default_factory=list)  # what was refused
    done: list[float] = field(default_factory=list)  # when each step was done
    _ref: str | None = None  # of the present step, while nothing new is known
    _judged: tuple[View | None, bool] | None = None  # the view at which the conditions were looked at last

    @property
    def step(self) -> Step | None:
        return self.story.steps[self.at] if self.at < len(self.story.steps) else None

    def case_ref(self) -> str:
        """The reference by which the step's case is found; empty where it needs none, or cannot know it yet."""
        if self._ref is None:
            self._ref = self._bound_ref()
        return self._ref

    def _bound_ref(self) -> str:
        step = self.step
        if step is None or not (step.when or "$case" in f"{step.args} {step.act}"):
            return ""
        try:
            return str(bind(step.case, self.names))
        except (KeyError, IndexError):
            return ""

    def ready(self, view: View | None, now: float) -> bool:
        """Whether the step may be done now; notes since when its conditions hold."""
        step = self.step
        if step is None or self.busy:
            return False
        if self._judged is None or self._judged[0] is not view:
            self._judged = view, all(holds(condition, view) for condition in step.when)
        if not self._judged[1]:
            return False
        if self.since is None:
            self.since = now
        return now >= self.due

    @property
    def due(self) -> float:
        """When the step will be done; only once its conditions hold."""
        step = self.step
        return (self.since or 0.0) + (step.after_minutes * 60 if step is not None else 0)

    def bound(self, view: View | None) -> tuple[str, Mapping[str, Any]]:
        """Act and arguments, references replaced."""
        step = self.step
        assert step is not None
        names = {**self.names, **({"case": case_names(view, step.when)} if view is not None else {})}
        return str(bind(step.act, names)), bind(dict(step.args), names)

    def did(self, answer: Any, now: float) -> None:
        step = self.step
        assert step is not None
        self.done.append(now)
        if step.name:
            self.names[step.name] = answer
        self.at, self.since, self.busy, self._ref, self._judged = self.at + 1, None, False, None, None

    @property
    def posts(self) -> bool:
        return self.step is not None and self.step.system == PEOPLE
