// One call of @twilio-labs/serverless-api, unmodified. Usage: serverless_api.cjs ACTION FILE, where the file holds what the call is given;
// prints JSON.
"use strict";

const fs = require("fs");

const { TwilioServerlessApiClient } = require("@twilio-labs/serverless-api");
const { getPaginatedResource } = require("@twilio-labs/serverless-api/dist/api/utils/pagination");

const client = new TwilioServerlessApiClient({
    accountSid: process.env.TWILIO_ACCOUNT_SID,
    authToken: process.env.TWILIO_AUTH_TOKEN,
});

const decoded = (resources) => resources.map((one) => ({ ...one, content: Buffer.from(one.content, "base64") }));

const actions = {
    deploy: (config) => client.deployProject({ ...config, assets: decoded(config.assets), functions: decoded(config.functions) }),
    activate: (config) => client.activateBuild(config),
    list: (config) => client.list(config),
    pages: ({ url }) => getPaginatedResource(client, url),
};

const [action, file] = process.argv.slice(2);
actions[action](JSON.parse(fs.readFileSync(file, "utf8"))).then(
    (result) => console.log(JSON.stringify(result)),
    (error) => {
        console.log(JSON.stringify({ name: error.name, code: error.code, message: error.message }));
        process.exitCode = 1;
    },
);
