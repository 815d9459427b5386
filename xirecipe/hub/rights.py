"""May this token write to this repository? Asked before any work, so that nobody uploads for an hour to be refused."""

from __future__ import annotations

from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.hub.remote import HubRepository, said

#: Roles in an organization that may write to its repositories.
_WRITING = ("admin", "write", "contributor")


def require_rights(hub: HubRepository) -> str:
    """The name of the user who may write there; the token is that of the environment or of the Hub's login.

    Raises UserError: `no-token`, `bad-token`, `read-only-token`, `no-rights`, `hub-unreachable`.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    where = "https://huggingface.co/settings/tokens"
    if get_token() is None:
        hint = f"`export HF_TOKEN=...` or `hf auth login`, with a write token from {where}"
        raise user_error("no-token", "there is no Hub token", hint=hint)
    try:
        account = hub.read(hub.api.whoami)
    except HfHubHTTPError as error:
        raise user_error("bad-token", f"the Hub does not know this token: {said(error)}", hint=where) from error
    name, token = str(account["name"]), _token(account)
    if token.get("role") == "read":
        hint = f"make one with the `write` role at {where}"
        raise user_error("read-only-token", f"the token of {name} may only read", hint=hint)
    try:
        hub.read(lambda: hub.api.auth_check(hub.repository, repo_type="dataset", write=True))
    except RepositoryNotFoundError:
        _require_namespace(hub.repository.split("/")[0], account)
    except HfHubHTTPError as error:
        raise user_error("no-rights", f"{name} may not write to {hub.repository}: {said(error)}") from error
    return name


def _require_namespace(namespace: str, account: dict[str, Any]) -> None:
    """Raises UserError `no-rights` where this account can make no repository under a name."""
    roles = {org["name"]: org.get("roleInOrg") for org in account.get("orgs") or []}
    writable = [account["name"], *(name for name, role in roles.items() if role in _WRITING)]
    if namespace not in writable:
        message = f"{account['name']} may not make repositories under {namespace}"
        raise user_error("no-rights", message, hint=f"under these you may: {', '.join(writable)}")
    token = _token(account)
    if token.get("role") == "fineGrained":
        scoped = (token.get("fineGrained") or {}).get("scoped") or []
        if namespace not in {s["entity"].get("name") for s in scoped if "repo.write" in s.get("permissions", [])}:
            message = f"this fine-grained token may not write repositories of {namespace}"
            raise user_error("no-rights", message, hint="give it `repo.write` there, or use a write token")


def _token(account: dict[str, Any]) -> dict[str, Any]:
    found = (account.get("auth") or {}).get("accessToken")
    return found if isinstance(found, dict) else {}
