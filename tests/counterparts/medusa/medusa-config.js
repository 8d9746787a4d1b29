// A Medusa server for tests: no admin pages, everything but the database in memory. A database behind a unix socket has
// the socket's folder as `?host=`; one part of Medusa reads it from the URL, the other from the driver's options.
const { defineConfig } = require("@medusajs/framework/utils")

const host = new URL(process.env.DATABASE_URL).searchParams.get("host")

module.exports = defineConfig({
  admin: { disable: true },
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { connection: host ? { host, ssl: false } : { ssl: false } },
    http: { storeCors: "*", adminCors: "*", authCors: "*", jwtSecret: "made-up", cookieSecret: "made-up" },
  },
})
