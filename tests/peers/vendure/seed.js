// Fills an empty database with a small mall: zones, tax, shipping, a payment method, products with stock, and prices
// in CNY that include tax.
const path = require('node:path');
const { bootstrap, ChannelService, RequestContextService } = require('@vendure/core');
const { importProductsFromCsv, populateInitialData } = require('@vendure/core/cli');
const { config } = require('./config');

const initialData = {
    defaultLanguage: 'en',
    defaultZone: 'Asia',
    countries: [{ code: 'CN', name: 'China', zone: 'Asia' }],
    taxRates: [{ name: 'Standard', percentage: 13 }],
    shippingMethods: [{ name: 'Standard', price: 1000, taxRate: 0 }],
    paymentMethods: [{ name: 'Refundable', handler: { code: 'refundable', arguments: [] } }],
    collections: [],
};

async function seed() {
    const app = await bootstrap(config);
    await populateInitialData(app, initialData);
    const ctx = await app.get(RequestContextService).create({ apiType: 'admin' });
    const channels = app.get(ChannelService);
    const channel = await channels.getDefaultChannel(ctx);
    await channels.update(ctx, {
        id: channel.id,
        defaultCurrencyCode: 'CNY',
        availableCurrencyCodes: ['CNY'],
        pricesIncludeTax: true,
    });
    const result = await importProductsFromCsv(app, path.join(__dirname, 'products.csv'), 'en');
    await app.close();
    if (result.errors && result.errors.length) {
        throw new Error(result.errors.join('\n'));
    }
}

seed().then(
    () => process.exit(0),
    error => {
        console.error(error);
        process.exit(1);
    },
);
