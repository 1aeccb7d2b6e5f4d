// Serves functions/ with the private assets of a bundle, by Twilio's own handler. Arguments: [PORT] [BUNDLE]
const { readFileSync } = require('fs');
const { resolve } = require('path');
const { LocalDevelopmentServer } = require('@twilio/runtime-handler/dev');

const port = Number(process.argv[2] ?? 3000);
const bundle = resolve(process.argv[3] ?? 'private');
const { assets } = JSON.parse(readFileSync(resolve(bundle, 'routes.json')));

const server = new LocalDevelopmentServer(port, {
  baseDir: __dirname,
  env: {},
  // A process of its own for each call would send the body as JSON, and break every byte that is not text.
  forkProcess: false,
  logs: false,
  routes: {
    functions: [{ path: '/message', access: 'public', filePath: resolve(__dirname, 'functions/message.js') }],
    assets: assets.map((asset) => ({ ...asset, filePath: resolve(bundle, asset.filePath) })),
  },
});
const listening = server.getApp().listen(port, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${listening.address().port}/message`);
});
