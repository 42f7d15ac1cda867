"""Writes an evaluation as JSON and as one HTML file that holds its pictures and asks the network for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.evaluation.clips_and_videos import EVALUATION_FILE, MISTAKES_FOLDER, REPORT_FILE, Evaluation
from models.evaluation.figures.bootstrap import LEVEL
from models.evaluation.judge import Judgement
from models.evaluation.report_plots import confusion_plot, curve_plot, data_uri, event_curve_plot, reliability_plot
from models.evaluation.worst_mistakes import caption, write_worst_mistakes
from pipeline.files import write_atomically


def write_evaluation(evaluation: Evaluation, folder: Path, clips_folder: Path | None, rate_hz: float = 25.0) -> Path:
    """Write ``evaluation.json``, the pictures of the worst mistakes and ``report.html`` → the report's path.

    ``clips_folder``: the data set's folder, to which the JSON's paths become relative. ``rate_hz``: of its clips.
    Raises DatasetError for a clip that cannot be read, OSError where the disk fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mistakes: dict[str, Any] = {"mistakes": [], "sheet": None}
    if evaluation.clips is not None:
        sheet, gifs = write_worst_mistakes(evaluation.clips.worst, folder / MISTAKES_FOLDER, rate_hz)
        mistakes["sheet"] = data_uri(sheet.read_bytes(), "image/png") if sheet else None
        mistakes["mistakes"] = [
            {"uri": data_uri(path.read_bytes(), "image/gif"), "caption": caption(mistake)}
            for path, mistake in zip(gifs, evaluation.clips.worst, strict=True)
        ]
    written = _relative(evaluation, clips_folder)
    write_atomically(folder / EVALUATION_FILE, written.model_dump_json(indent=2) + "\n")
    page = render("evaluation_report.html.j2", {**_context(evaluation), **mistakes})
    write_atomically(folder / REPORT_FILE, page)
    return folder / REPORT_FILE


def render(template: str, context: dict[str, Any]) -> str:
    """A template beside this file → HTML, with everything put in escaped."""
    import jinja2  # noqa: PLC0415 - an extra that only reports need

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template).render({"level": LEVEL, "note": "", "made": "", **context})


def _context(evaluation: Evaluation) -> dict[str, Any]:
    context: dict[str, Any] = {
        "evaluation": evaluation,
        "title": f"{evaluation.model}: evaluation",
        "subtitle": " · ".join(part for part in (evaluation.data, evaluation.description) if part),
        "made": f"{evaluation.kind}, model.keras sha256 {evaluation.model_sha256}; "
        f"temperature in its card {evaluation.card_temperature:g}",
        "views": _views(evaluation),
        "curves": [(curve, event_curve_plot(curve)) for curve in evaluation.videos.curves] if evaluation.videos else [],
    }
    return {**context, **_plots(evaluation.clips)} if evaluation.clips is not None else context


def _plots(clips: Judgement) -> dict[str, Any]:
    scaling = clips.calibration
    calibrations = [("T = 1", scaling.raw), ("Scaled", scaling.scaled)]
    if scaling.held_out is not None:
        calibrations.append(("Held out", scaling.held_out))
    plots = [
        ("Confusion", confusion_plot(clips.whole.metrics)),
        ("ROC, one class against the others", curve_plot(clips.roc, "false positives", "true positives", "AUC", True)),
        ("Precision and recall", curve_plot(clips.precision_recall, "recall", "precision", "AP", False)),
    ]
    return {"plots": plots, "calibrations": calibrations, "reliability": reliability_plot(calibrations)}


def _views(evaluation: Evaluation) -> str:
    views = evaluation.views
    number = 2 * views.windows if views.flip else views.windows
    if number == 1:
        text = "One view of each clip, its middle."
    else:
        text = (
            f"Up to {number} views of each clip averaged ({views.windows} windows{', mirrored' if views.flip else ''})."
        )
    return text + (f" At most {views.real} pictures of each, played back and forth." if views.real else "")


def _relative(evaluation: Evaluation, clips_folder: Path | None) -> Evaluation:
    """Paths of the machine have no place in a file that is passed on."""
    clips = evaluation.clips
    if clips is None or clips_folder is None:
        return evaluation
    worst = tuple(
        mistake.model_copy(update={"path": Path(mistake.path).relative_to(clips_folder).as_posix()})
        for mistake in clips.worst
    )
    return evaluation.model_copy(update={"clips": clips.model_copy(update={"worst": worst})})
