// The mall that omnilake is tested against: Vendure's defaults, plus the custom fields and the webhooks that
// docs/platforms/vendure.md tells a retailer to add. Everything that differs by run comes from the environment.
const {
    DefaultLogger,
    LogLevel,
    LanguageCode,
    PaymentMethodHandler,
    dummyPaymentHandler,
} = require('@vendure/core');
const { WebhookPlugin } = require('./webhooks');

const refundable = new PaymentMethodHandler({
    code: 'refundable',
    description: [{ languageCode: LanguageCode.en, value: 'Settles at once and takes every refund' }],
    args: {},
    createPayment: (ctx, order, amount) => ({ amount, state: 'Settled', transactionId: `pay-${order.code}` }),
    settlePayment: () => ({ success: true }),
    createRefund: (ctx, input, amount, order) => ({ state: 'Settled', transactionId: `refund-${order.code}` }),
});

exports.config = {
    apiOptions: {
        hostname: '127.0.0.1',
        port: Number(process.env.MALL_PORT),
        adminApiPath: 'admin-api',
        shopApiPath: 'shop-api',
    },
    authOptions: {
        tokenMethod: ['bearer', 'api-key'],
        superadminCredentials: { identifier: process.env.MALL_ADMIN, password: process.env.MALL_PASSWORD },
        requireVerification: false,
        sessionDuration: process.env.MALL_SESSION || '1y',
    },
    dbConnectionOptions: {
        type: 'postgres',
        synchronize: true,
        host: '127.0.0.1',
        port: Number(process.env.PGPORT),
        username: process.env.PGUSER,
        database: process.env.PGDATABASE,
        logging: false,
    },
    logger: new DefaultLogger({ level: LogLevel.Warn, timestamp: false }),
    paymentOptions: { paymentMethodHandlers: [refundable, dummyPaymentHandler] },
    customFields: {
        Customer: [
            { name: 'marketingConsent', type: 'boolean', defaultValue: false },
            { name: 'omnilakeTags', type: 'string', list: true, public: false, nullable: true },
            { name: 'omnilakeRecommendations', type: 'text', public: false, nullable: true },
        ],
        Promotion: [{ name: 'omnilakeKey', type: 'string', unique: true, nullable: true, public: false }],
        CustomerGroup: [{ name: 'omnilakeKey', type: 'string', unique: true, nullable: true, public: false }],
    },
    plugins: process.env.WEBHOOK_URL ? [WebhookPlugin] : [],
};
