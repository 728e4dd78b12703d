"""Signs and verifies with Stripe's own library.

stripe_sign.py sign SECRET TIMESTAMP            body on stdin, prints the header
stripe_sign.py verify SECRET HEADER             body on stdin, fails if the header does not verify
"""

import sys

import stripe

action, secret, value = sys.argv[1:4]
body = sys.stdin.buffer.read().decode()
if action == "sign":
    signature = stripe.WebhookSignature._compute_signature(f"{value}.{body}", secret)
    print(f"t={value},v1={signature}")
else:
    assert stripe.WebhookSignature.verify_header(body, value, secret, tolerance=300)
    print("verified")
