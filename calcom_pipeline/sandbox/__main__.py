"""`python -m calcom_pipeline.sandbox`: the sandbox's own command line."""

from calcom_pipeline.sandbox.command import cli

if __name__ == "__main__":
    cli()
