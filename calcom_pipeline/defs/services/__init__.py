"""Plans and services in Dagster."""
