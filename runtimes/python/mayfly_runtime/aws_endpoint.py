"""Has botocore look for its services where the environment says, as botocore does by itself from
1.31 on; and for @connections, whose address programs make of an event, in every version.

Imported when a function imports botocore.session, and not before.
"""

import os
import sys


class Loader:
    """Loads botocore.session as its own loader would, then changes it."""

    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        try:
            change(module.Session)
        except Exception as error:  # of a botocore that nobody knows: it works as it is
            print("mayfly: botocore is left as it is: %r" % error, file=sys.stderr)

    def __getattr__(self, name):
        return getattr(self._loader, name)


def find(name, path, target, without):
    """The spec of the module, found by all finders but one."""
    for finder in sys.meta_path:
        if finder is without or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(name, path, target)
        if spec is not None:
            if hasattr(spec.loader, "exec_module"):
                spec.loader = Loader(spec.loader)
            return spec
    return None


def configured(session, service, environ):
    """AWS_ENDPOINT_URL_<SERVICE>, else AWS_ENDPOINT_URL, unless they are to be ignored."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    if any(name.startswith("AWS_ENDPOINT_URL_") for name in environ):
        service_id = session.get_service_model(service).service_id
        own = environ.get("AWS_ENDPOINT_URL_" + service_id.replace(" ", "_").upper())
        if own:
            return own
    return environ.get("AWS_ENDPOINT_URL") or None


def connections_url(url, services):
    """https://DOMAIN/STAGE of an event, at this server's own address: the domain is the clients'."""
    from urllib.parse import urlsplit

    asked, here = urlsplit(url), urlsplit(services)
    if asked.scheme != "https" or asked.netloc == here.netloc:
        return url
    return services.rstrip("/") + asked.path


def change(session_class):
    from botocore import configprovider

    variables = configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES
    knows = "ignore_configured_endpoint_urls" in variables
    create = session_class.create_client

    def create_client(self, service_name, *args, **kwargs):
        # endpoint_url is the fifth after it; hardly anybody gives so many by place
        if len(args) < 5:
            url = kwargs.get("endpoint_url")
            if url is None and not knows:
                url = configured(self, service_name, os.environ)
            elif url is not None and service_name == "apigatewaymanagementapi":
                services = os.environ.get("MAYFLY_SERVICES_URL")
                url = connections_url(url, services) if services else url
            kwargs["endpoint_url"] = url
        return create(self, service_name, *args, **kwargs)

    create_client.__doc__ = create.__doc__
    create_client.__name__ = create.__name__
    create_client.__qualname__ = create.__qualname__
    create_client.__wrapped__ = create
    session_class.create_client = create_client
