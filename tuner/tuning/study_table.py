"""A study as a measured table."""

from __future__ import annotations

import csv
import io

from tuner.tuning.study_data import StudyData


def table_text(study: StudyData) -> str:
    """Return the CSV text: a row for each trial, a cell being empty where its option was inactive."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*(o.name for o in study.options), *(m.name for m in study.metrics)])
    for configuration, values in study.rows:
        cells = [configuration.get(o.name, "") for o in study.options]
        writer.writerow([*cells, *(values[m.name] for m in study.metrics)])
    return file.getvalue()
