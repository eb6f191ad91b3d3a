// Tells omnilake which record changed; never what is in it. One POST a change, signed over the raw body with
// HMAC-SHA256, tried again with the same id until it is answered with 2xx.
const crypto = require('node:crypto');
const {
    CustomerEvent,
    EventBus,
    OrderStateTransitionEvent,
    PluginCommonModule,
    ProductVariantEvent,
    RefundEvent,
    RefundStateTransitionEvent,
    VendurePlugin,
} = require('@vendure/core');

const WAITS = [0, 500, 2000, 10000];

async function send(feed, recordId) {
    const body = JSON.stringify({ id: crypto.randomUUID(), feed, recordId: String(recordId) });
    const signature = crypto.createHmac('sha256', process.env.WEBHOOK_SECRET).update(body).digest('hex');
    for (const wait of WAITS) {
        await new Promise(resolve => setTimeout(resolve, wait).unref());
        try {
            const reply = await fetch(process.env.WEBHOOK_URL, {
                method: 'POST',
                headers: { 'content-type': 'application/json', 'x-vendure-signature': signature },
                body,
            });
            if (reply.ok) {
                return;
            }
        } catch {
            // nobody listens yet: the next wait is longer, and the nightly pull reads the record anyway
        }
    }
}

const watched = [
    [OrderStateTransitionEvent, event => [['orders', event.order.id]]],
    [RefundStateTransitionEvent, event => [['orders', event.order.id]]],
    [RefundEvent, event => [['orders', event.order.id]]],
    [CustomerEvent, event => [['members', event.entity.id]]],
    [ProductVariantEvent, event => event.entity.map(variant => ['products', variant.id])],
];

class WebhookPlugin {
    constructor(eventBus) {
        this.eventBus = eventBus;
    }

    onApplicationBootstrap() {
        for (const [type, records] of watched) {
            this.eventBus.ofType(type).subscribe(event => {
                for (const [feed, id] of records(event)) {
                    void send(feed, id);
                }
            });
        }
    }
}
Reflect.defineMetadata('design:paramtypes', [EventBus], WebhookPlugin);
VendurePlugin({ imports: [PluginCommonModule], compatibility: '^3.0.0' })(WebhookPlugin);

exports.WebhookPlugin = WebhookPlugin;
