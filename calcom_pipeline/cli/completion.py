"""`calcom-pipeline completion`: the shell's part of pressing Tab, as click makes it."""

import click
from click.shell_completion import get_completion_class

from calcom_pipeline.cli.console import Output, with_output

_SHELLS = ("bash", "zsh", "fish")
#: Where click looks for a question of the shell; made of the program's name.
_VARIABLE = "_CALCOM_PIPELINE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@with_output
def completion(output: Output, shell: str) -> None:
    """Print what makes Tab complete commands and options in a shell: bash 4.4 or newer, zsh, or fish.

    \b
    In this shell:  eval "$(calcom-pipeline completion bash)"
    For good:       calcom-pipeline completion bash >> ~/.bashrc
                    calcom-pipeline completion zsh >> ~/.zshrc
                    calcom-pipeline completion fish > ~/.config/fish/completions/calcom-pipeline.fish
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    kind = get_completion_class(shell)
    if kind is None:
        raise AssertionError("click completes in the shells that are offered")
    root = click.get_current_context().find_root().command
    # Not `source()`: that starts a bash to look how old it is.
    made = kind(root, {}, "calcom-pipeline", _VARIABLE)
    script = made.source_template % made.source_vars()
    output.line(script)
    output.result("completion", {"shell": shell, "script": script}, before_step="# ")
