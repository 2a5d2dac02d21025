"""Event types: values and fields."""
