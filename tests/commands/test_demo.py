"""What the tour shows of a task whose metric was learned, and where no update was kept."""

from dataclasses import replace

import pytest

from convrfm import ConvRFMClassifier, datasets
from convrfm.commands.demo import TASKS, photographs_sections, task_sections
from convrfm.commands.evaluation import evaluate
from convrfm.kernels import NTK, vanilla
from convrfm.report import Page
from convrfm.report.markdown import markdown_page

TASK = replace(TASKS[1], name="bars", data="bars", n_train=30, n_test=10, depth=1)


@pytest.mark.parametrize("updates", [0, 1])
def test_a_metric_that_was_not_learned_is_not_shown_as_learned(updates: int) -> None:
    data = datasets.load("bars", n_train=30, n_test=10, seed=0)
    model = ConvRFMClassifier(NTK(vanilla(1)), n_iterations=updates, keep="last").fit(data.x_train, data.y_train)
    (rounds,) = evaluate(model, data.x_test, data.y_test).layers
    page = markdown_page(Page("", "", task_sections(TASK, data, model, rounds)))
    assert ("Bars: what the patch metric has learned" in page) == ("after learning" in page) == bool(updates)
    assert ("no learned metric to show" in page) == (not updates)
    star = datasets.load("star", n_train=10, n_test=10, seed=0)
    fixed = ConvRFMClassifier(NTK(vanilla(1)), n_iterations=0).fit(star.x_train, star.y_train)
    drawn = [block.caption for section in photographs_sections(fixed, model) for block in section.blocks[1:]]
    assert drawn == ["Photographs under the metric of the model trained on noisy digits."] * updates
