"""What `up` tells the receiver that it keeps for the sandbox, by what is set."""

from pathlib import Path

import pytest

from calcom_pipeline.bootstrap.own_receiver import receiver_variables
from calcom_pipeline.settings import load_settings

SERVED = {"CALCOM_HTTP_HOST", "CALCOM_HTTP_PORT", "CALCOM_UI_URL"}
TAKING = {"CALCOM_WEBHOOK_SECRET", "CALCOM_WEBHOOK_URL"}
REPORT = {"CALCOM_REPORT_URL"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, SERVED | TAKING | REPORT),
        ({"CALCOM_HTTP_OFF": "webhooks"}, SERVED | REPORT),
        ({"CALCOM_HTTP_OFF": "report"}, SERVED | TAKING),
        ({"CALCOM_UI_URL": "http://ui.example"}, SERVED - {"CALCOM_UI_URL"} | TAKING | REPORT),
        ({"CALCOM_WEBHOOK_SECRET": "people have set up their own"}, None),
        ({"CALCOM_WEBHOOK_SECRET": "theirs", "CALCOM_WEBHOOK_URL": "https://shop.example/calcom"}, None),
    ],
)
def test_each_part_can_be_off_and_the_others_are_served(tmp_path: Path, given: dict[str, str], told: set[str] | None):
    settings = load_settings({"CALCOM_ENV_FILE": "", **given})
    variables = receiver_variables(settings, tmp_path, path="/webhooks/calcom", ui_url="http://127.0.0.1:3000")
    assert (None if variables is None else set(variables)) == told


def test_its_secret_stays_the_same_and_is_nobody_elses(tmp_path: Path):
    settings = load_settings({"CALCOM_ENV_FILE": ""})
    first, again = (receiver_variables(settings, tmp_path, path="/x", ui_url="http://ui") for _ in range(2))
    assert first is not None
    assert again is not None
    assert first["CALCOM_WEBHOOK_SECRET"] == again["CALCOM_WEBHOOK_SECRET"]
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
