"""Has Amazon's own SDK send a message by SES: mail_sdk.py BASE, with a JSON object on standard input."""

import base64
import datetime
import json
import sys

import botocore.auth
import botocore.session

asked = json.load(sys.stdin)
now = datetime.datetime.fromtimestamp(asked["now"], datetime.timezone.utc)
# The clock that signs; there is no option for it.
botocore.auth.get_current_datetime = lambda remove_tzinfo=True: now.replace(tzinfo=None) if remove_tzinfo else now
client = botocore.session.get_session().create_client(
    "sesv2",
    region_name=asked["region"],
    endpoint_url=sys.argv[1],
    aws_access_key_id=asked["access_key"],
    aws_secret_access_key=asked["secret_key"],
)
client.send_email(
    Destination={"ToAddresses": [asked["to"]]},
    Content={"Raw": {"Data": base64.b64decode(asked["raw"])}},
)
