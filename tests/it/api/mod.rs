//! The API on a real database, under the login it has in production.

mod database;
mod jobs;
mod legacy;
mod logins;
mod logs;
mod rows;
mod service;
mod views;
