// Serves the mall until it is stopped.
const { bootstrap } = require('@vendure/core');
const { config } = require('./config');

bootstrap(config).catch(error => {
    console.error(error);
    process.exit(1);
});
