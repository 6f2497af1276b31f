mod question;

pub use question::{
    AgreementFact, ConditionFact, Facts, Horizon, Keeper, Offer, Position, Question, Recorded,
};
