"""Assets that are tables read from Cal.com: what all of them say of themselves to Dagster."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from calcom_pipeline.defs.account import OWNERS, Account
from calcom_pipeline.defs.columns import column_lineage, column_schema
from calcom_pipeline.defs.freshness import Freshness
from calcom_pipeline.defs.markdown import newest


def mirrored(
    account: Account,
    read: Callable[..., dg.MaterializeResult[Any]],
    *,
    freshness: Freshness,
    after: Sequence[str],
    lineage: Mapping[str, tuple[str, str]],
    group: str = "calcom",
    kinds: Sequence[str] = ("calcom", "postgres"),
    pictures: str = "",
) -> dg.AssetsDefinition:
    """The asset of an account that `read` makes: a table of its name. `after` names what it is made after.

    `lineage`: columns that come from another asset, with that asset's name and its column. `pictures`: what its newest
    event shows, which its description links to.
    """
    table = read.__name__
    shown = newest(account.key(table), pictures) if pictures else ""
    asset = dg.asset(
        description=f"{inspect.getdoc(read)}{shown}",
        key_prefix=account.key_prefix,
        group_name=group,
        kinds=set(kinds),
        owners=OWNERS,
        tags={"account": account.name, "made": "from_cal_com"},
        freshness_policy=freshness.policy,
        pool=account.pool,
        deps=[account.key(name) for name in after],
        metadata={
            **column_schema(table),
            **column_lineage(account.key, lineage),
            "table": table,
            **freshness.metadata(),
        },
    )
    return asset(account.given_to(read))
