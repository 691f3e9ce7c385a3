"""The vendor of the load run as one would write it with aiohttp and Alibaba's client of STS: what benches/minimal.rs does,
without a single call for all callers of a missing token.

python vendor.py STS KEY_ID KEY_SECRET ROLE CLIENT SECRET_SHA256 POLICY_FILE
"""

import asyncio
import base64
import datetime
import hashlib
import hmac
import json
import pathlib
import sys
import uuid

from aiohttp import web
from alibabacloud_sts20150401.client import Client
from alibabacloud_sts20150401.models import AssumeRoleRequest
from alibabacloud_tea_openapi.utils_models import Config

MARGIN = datetime.timedelta(minutes=30)


class Vendor:
    def __init__(self, sts, key_id, key_secret, role, client, secret_sha256, policy_file):
        self.sts = Client(Config(access_key_id=key_id, access_key_secret=key_secret, endpoint=sts, protocol="http"))
        self.role, self.client, self.secret_hash = role, client, secret_sha256
        self.policy = json.dumps(json.loads(pathlib.Path(policy_file).read_text()))
        self.tokens = {}

    def is_client(self, header):
        client, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        secret_hash = hashlib.sha256(secret.encode()).hexdigest()
        return hmac.compare_digest(secret_hash, self.secret_hash) and client == self.client

    async def assume_role(self, policy):
        answer = await self.sts.assume_role_async(AssumeRoleRequest(
            role_arn=self.role, role_session_name=self.client, policy=policy, duration_seconds=3600))
        credentials, user = answer.body.credentials, answer.body.assumed_role_user
        ends = datetime.datetime.fromisoformat(credentials.expiration.replace("Z", "+00:00"))
        now = datetime.datetime.now(datetime.timezone.utc)
        return ends, {
            "AccessKeyId": credentials.access_key_id,
            "AccessKeySecret": credentials.access_key_secret,
            "SecurityToken": credentials.security_token,
            "Expiration": credentials.expiration,
            "AssumedRoleUser": {"Arn": user.arn, "AssumedRoleId": user.assumed_role_id},
            "LastUpdated": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "RefreshAfter": (ends - MARGIN).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    async def token(self, request):
        if not self.is_client(request.headers.get("Authorization", "")):
            raise web.HTTPUnauthorized
        album = request.query.get("Parameters.album", "")
        if album and not (album.isascii() and album.isalnum()):
            raise web.HTTPBadRequest
        policy = self.policy.replace("${params.album}", album)
        ends, token = self.tokens.get(policy, (None, None))
        if ends is None or ends - datetime.datetime.now(datetime.timezone.utc) < MARGIN:
            ends, token = self.tokens[policy] = await self.assume_role(policy)
        answer = {"StatusCode": 200, "Code": "Success", "RequestId": str(uuid.uuid4()), "Grant": "one-album", **token}
        return web.json_response(answer, headers={"Cache-Control": "no-store"})


async def serve(vendor):
    application = web.Application()
    application.router.add_get("/v1/token", vendor.token)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on 127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Vendor(*sys.argv[1:])))
