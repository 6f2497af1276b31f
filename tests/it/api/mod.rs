//! The API on a real database, under the login it has in production.

mod agreements;
mod chain_events;
mod database;
mod disk;
mod events;
mod jobs;
mod legacy;
mod logins;
mod logs;
mod node;
mod parties;
mod people;
mod queue;
mod results;
mod rows;
mod service;
mod sign_in;
mod streams;
mod surroundings;
mod views;
mod wallets;
