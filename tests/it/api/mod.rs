//! The API on a real database, under the login it has in production.

mod agreements;
mod browser;
mod chain_events;
mod database;
mod events;
mod jobs;
mod legacy;
mod logins;
mod logs;
mod pages;
mod queue;
mod rows;
mod service;
mod streams;
mod surroundings;
mod views;
