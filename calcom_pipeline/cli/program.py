"""`calcom-pipeline exec`: a program of Dagster's, with the variables that it needs."""

import os
import shutil

import click

from calcom_pipeline.domain.errors import ConfigurationError


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(words: tuple[str, ...]) -> None:
    """Run a program of Dagster's beside servers that are named: `exec dagster-daemon run -w workspace.yaml`.

    It gets the address of Dagster's database (also where a file holds it), its home, and the name of the code location.
    This process becomes that program, so that signals reach it.
    """
    from calcom_pipeline.bootstrap.dagster_instance import dagster_defaults, dagster_environment
    from calcom_pipeline.settings import load_settings

    settings = load_settings()
    if settings.database_url is None or settings.redis_url is None:
        raise ConfigurationError(
            ["DATABASE_URL and REDIS_URL name no servers, and embedded ones end with the command that started them"],
            advice="Use `calcom-pipeline up`, or name the servers.",
        )
    program = shutil.which(words[0])
    if program is None:
        raise ConfigurationError([f"There is no program {words[0]}"], advice="Install it, or correct its name.")
    with dagster_environment(settings) as (environment, _):
        found = {**os.environ, **dagster_defaults(), **environment}
    os.execve(program, list(words), found)  # noqa: S606 - the point of this command
