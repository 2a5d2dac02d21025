"""Accounts as data, a folder each, made by `dg scaffold defs calcom_pipeline.CalcomAccount NAME`; none is shipped."""
