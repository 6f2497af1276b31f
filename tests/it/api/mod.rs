//! The API on a real database, under the login it has in production.

mod agreements;
mod answers;
mod chain_events;
mod database;
mod description;
mod disk;
mod events;
mod filters;
mod jobs;
mod legacy;
mod logins;
mod logs;
mod node;
mod old_clients;
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
