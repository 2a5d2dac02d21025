"""A line that breaks while a new connection is greeted: an error like any other, and soon."""

import pytest
import redis

from calcom_pipeline.adapters.redis.availability.epoch import Epoch
from tests.support.stalling import Address, StallingProxy


def nobody() -> Address:
    raise ConnectionRefusedError


def test_a_server_that_hangs_up_on_every_greeting_is_an_error_and_no_endless_greeting():
    proxy = StallingProxy(nobody)
    epoch = Epoch(prefix="test:", settle_seconds=1)
    client = redis.Redis(
        port=proxy.port, host="127.0.0.1", health_check_interval=30, redis_connect_func=epoch.greet, socket_timeout=5
    )
    try:
        with pytest.raises(redis.ConnectionError):
            client.get("anything")
    finally:
        client.close()
        proxy.close()
