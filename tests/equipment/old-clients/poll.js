// Asks for a job's status by the code of @oceanprotocol/squid, and for what it did by requests; prints what the client made of the
// answers. usage: node poll.js DIRECTORY-OF-node_modules ORIGIN AGREEMENT JOB CONSUMER
'use strict'
const { createRequire } = require('module')
const [directory, origin, agreement, job, consumer] = process.argv.slice(2)
const load = createRequire(`${directory}/`)
const client = (part) => load(`@oceanprotocol/squid/dist/node/${part}`)
const { Brizo } = client('brizo/Brizo')
const { OceanCompute } = client('ocean/OceanCompute')
const { WebServiceConnector } = client('ocean/utils/WebServiceConnector')

// What the client has from the chain, from a metadata service and from a wallet.
const account = { getId: () => consumer, getToken: async () => '0x00' }
const serviceEndpoint = `${origin}/api/v1/brizo/services/compute`
const ocean = {
    keeper: { agreementStoreManager: { getAgreement: async () => ({ did: 'did:op:1' }) } },
    assets: { resolve: async () => ({ findServiceByType: () => ({ serviceEndpoint }) }) }
}
const config = { ocean, config: { brizoUri: origin, verbose: 0 }, logger: { error() {} } }
ocean.utils = { fetch: new WebServiceConnector(config.logger) }

// The status of the refusal that the client throws.
const refused = (asked) => asked.then((answer) => ({ 'not refused': answer }), (response) => response.status)

async function main() {
    ocean.brizo = new Brizo(config)
    const compute = await OceanCompute.getInstance(config)
    const told = {
        byJob: await compute.status(account, agreement, job),
        byAgreement: await compute.status(account, agreement),
        byConsumer: await compute.status(account),
        stopped: await refused(ocean.brizo.compute('put', agreement, account, undefined, undefined, job)),
        deleted: await refused(ocean.brizo.compute('delete', agreement, account, undefined, undefined, job)),
        started: await refused(ocean.brizo.compute('post', agreement, account, 'did:op:2'))
    }
    // It logs to standard output itself.
    process.stdout.write(`\n${JSON.stringify(told)}\n`)
}

main().catch((error) => {
    console.error(error)
    process.exit(1)
})
