"""What is wrong with the certificate of a server, in a sentence; the same for Cal.com, Redis and PostgreSQL."""

import ssl
from collections.abc import Generator

# OpenSSL's numbers (X509_V_ERR_*); any other is reported in OpenSSL's words.
_EXPIRED, _NOT_YET, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 62, 64
_TROUBLE = {
    _EXPIRED: "has expired",
    _NOT_YET: "is not valid yet; look at this machine's clock",
    _OTHER_HOST: "is for another host",
    _OTHER_ADDRESS: "is for another host",
}


def causes(error: BaseException) -> Generator[BaseException]:
    """The error and everything that it was made of: causes, contexts, reasons and arguments."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def certificate_trouble(error: BaseException) -> str | None:
    """What is wrong with the certificate, as the end of "the certificate of HOST ..."; None if that is not it."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = str(cause.verify_message or cause.reason or "it cannot be verified").lower()
            return _TROUBLE.get(cause.verify_code, f"is not trusted ({reason})")
    return None
