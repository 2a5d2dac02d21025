"""The Dagster layer: thin shells over the use cases in `app/`."""

import warnings

# Dagster copies sensors when it resolves their jobs, and warns about a parameter that nobody here has set.
warnings.filterwarnings("ignore", message="Parameter `owners` of initializer `SensorDefinition")
