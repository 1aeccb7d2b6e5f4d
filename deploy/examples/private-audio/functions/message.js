// Answers with the private asset /message.mp3.
const { readFileSync } = require('fs');

exports.handler = function (context, event, callback) {
  const asset = Runtime.getAssets()['/message.mp3'];
  // Not asset.open(): that reads the file as UTF-8 text, and sound is not text.
  const sound = readFileSync(asset.path);
  const response = new Twilio.Response();
  response.appendHeader('Content-Type', 'audio/mpeg');
  response.appendHeader('Content-Length', sound.length);
  response.setBody(sound);
  callback(null, response);
};
