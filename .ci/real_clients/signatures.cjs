// Signs and validates with Twilio's helper library for Node: one JSON array on standard input, one on standard output.
const { getExpectedTwilioSignature, validateRequest } = require("twilio");
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(({ token, url, fields, signature }) => signature === undefined
    ? getExpectedTwilioSignature(token, url, fields)
    : validateRequest(token, signature, url, fields))));
