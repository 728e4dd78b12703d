// Signs and verifies with GitHub's own library; runs in the folder that the library is installed in.
//
// github_sign.mjs sign SECRET              body on stdin, prints the header
// github_sign.mjs verify SECRET HEADER     body on stdin, fails if the header does not verify

import { readFileSync } from "node:fs";
import { sign, verify } from "@octokit/webhooks-methods";

const [action, secret, header] = process.argv.slice(2);
const body = readFileSync(0, "utf8");
if (action === "sign") {
  console.log(await sign(secret, body));
} else if (await verify(secret, body, header)) {
  console.log("verified");
} else {
  throw new Error("the signature does not verify");
}
