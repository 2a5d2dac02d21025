"""Which proxy is used and which certificates are believed: as set, else as the usual variables say.

`.netrc` is never looked at: it could put another name and password in the place of the key.
"""

import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import requests

from calcom_pipeline.domain.errors import ConfigurationError
from calcom_pipeline.domain.redaction import know_secrets, secrets_of_url

# In the order of who wins. SSL_CERT_DIR may name several folders; requests can use one.
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
NO_PROXY = "none"


@dataclass(frozen=True, slots=True)
class Network:
    """What the settings say of it; None leaves it to the variables. See CALCOM_CA_BUNDLE and CALCOM_PROXY."""

    ca_bundle: Path | None = None
    proxy: str | None = None


def authorities(network: Network, environ: Mapping[str, str] | None = None) -> str | bool:
    """The file or folder of certificates that are believed; True for those that come with requests.

    Raises:
        ConfigurationError: it is not there, or no certificates are in it.
    """
    if network.ca_bundle is not None:
        return _checked("CALCOM_CA_BUNDLE", str(network.ca_bundle))
    given = os.environ if environ is None else environ
    for name in _BUNDLES:
        if value := given.get(name, "").strip():
            folders = [one for one in value.split(os.pathsep) if Path(one).is_dir()]
            return _checked(name, folders[0] if name == "SSL_CERT_DIR" and folders else value)
    return True


def _checked(variable: str, value: str) -> str:
    path = Path(value).expanduser()
    if path.is_dir():
        return str(path)
    try:
        there = path.stat()
        _read_certificates(str(path), there.st_mtime_ns, there.st_size)
    except FileNotFoundError:
        raise ConfigurationError([f"{variable} names {value}, which is no file and no folder"]) from None
    except (ssl.SSLError, OSError):
        raise ConfigurationError([f"{variable} names {value}, in which no certificates can be read"]) from None
    return str(path)


@lru_cache(maxsize=16)
def _read_certificates(path: str, _changed_at: int, _size: int) -> None:
    """Once for each state of a file: a usual bundle takes 20 ms of CPU, and clients are opened often."""
    ssl.create_default_context(cafile=path)


def proxies(network: Network, base_url: str) -> dict[str, str]:
    """The proxy as requests wants it, or nothing.

    What the settings name is used for any host. The variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY (or the
    same in small letters) never count for this machine itself.

    Raises:
        ConfigurationError: it cannot be a proxy.
    """
    if network.proxy is not None:
        return {} if network.proxy == NO_PROXY else _as_proxies("CALCOM_PROXY", network.proxy)
    if _is_this_machine(urlsplit(base_url).hostname or ""):
        return {}
    found = requests.utils.select_proxy(base_url, requests.utils.get_environ_proxies(base_url))
    return _as_proxies("HTTPS_PROXY", found) if found else {}


def _as_proxies(variable: str, url: str) -> dict[str, str]:
    url = url if "://" in url else f"http://{url}"
    know_secrets(secrets_of_url(url))
    if urlsplit(url).scheme.lower() not in ("http", "https"):
        raise ConfigurationError([f"{variable} names no proxy of HTTP, such as http://proxy.example:3128"])
    return {"http": url, "https": url}


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
