//! What a transaction may cost. Pure.

/// Tip where the node has no word for one: a gigawei, what wallets offer.
pub(super) const USUAL_TIP: u128 = 1_000_000_000;

/// What the chain asks now, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Market {
    /// Base fee of the next block (EIP-1559); `None` on chains without one.
    pub(super) base: Option<u128>,
    /// What the block's maker wants on top; without a base fee, the whole price.
    pub(super) tip: u128,
}

/// What a transaction offers, in wei per gas. Both are equal on chains without a base fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fee {
    pub(super) max: u128,
    pub(super) priority: u128,
}

impl Market {
    /// The least offer that can be mined now.
    pub(super) fn least(&self) -> u128 {
        self.base.unwrap_or_default().saturating_add(self.tip)
    }

    /// An offer with room for the base fee to double (it grows by at most an eighth per block, so that takes six), cut at the
    /// limit. `None` when even what is asked now is above the limit.
    pub(super) fn offer(&self, limit: u128) -> Option<Fee> {
        if self.least() > limit {
            return None;
        }
        Some(match self.base {
            Some(base) => Fee {
                max: base.saturating_mul(2).saturating_add(self.tip).min(limit),
                priority: self.tip,
            },
            None => Fee {
                max: self.tip,
                priority: self.tip,
            },
        })
    }

    /// Whether an offer is too small to be mined now.
    pub(super) fn outgrew(&self, fee: Fee) -> bool {
        fee.max < self.least() || (self.base.is_some() && fee.priority < self.tip)
    }

    /// An offer in the place of `previous`, which nodes take only when both parts are at least a tenth higher (an eighth here,
    /// since some ask for that). `None` when that is above the limit.
    pub(super) fn replacement(&self, previous: Fee, limit: u128) -> Option<Fee> {
        let wanted = self.offer(limit)?;
        let fee = Fee {
            max: wanted.max.max(raised(previous.max)),
            priority: wanted.priority.max(raised(previous.priority)),
        };
        let fee = match self.base {
            Some(_) => fee,
            None => Fee {
                priority: fee.max,
                ..fee
            },
        };
        (fee.max <= limit && fee.priority <= fee.max).then_some(fee)
    }
}

const fn raised(fee: u128) -> u128 {
    fee.saturating_add(fee / 8).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u128 = 1_000_000_000;

    #[test]
    fn an_offer_leaves_room_and_ends_at_the_limit() {
        let market = Market {
            base: Some(10 * GWEI),
            tip: GWEI,
        };
        let fee = market.offer(100 * GWEI).unwrap();
        assert_eq!((fee.max, fee.priority), (21 * GWEI, GWEI));
        assert_eq!(market.offer(15 * GWEI).unwrap().max, 15 * GWEI);
        assert_eq!(market.offer(11 * GWEI).unwrap().max, 11 * GWEI);
        assert_eq!(market.offer(11 * GWEI - 1), None);
        let flat = Market {
            base: None,
            tip: 7 * GWEI,
        };
        let fee = flat.offer(7 * GWEI).unwrap();
        assert_eq!((fee.max, fee.priority), (7 * GWEI, 7 * GWEI));
    }

    #[test]
    fn a_replacement_is_an_eighth_dearer_in_both_parts_and_never_above_the_limit() {
        let market = Market {
            base: Some(GWEI),
            tip: GWEI,
        };
        let previous = Fee {
            max: 80 * GWEI,
            priority: 8 * GWEI,
        };
        let fee = market.replacement(previous, 100 * GWEI).unwrap();
        assert_eq!(fee.max, 90 * GWEI + 1);
        assert_eq!(fee.priority, 9 * GWEI + 1);
        assert_eq!(market.replacement(fee, 100 * GWEI), None);
        let spike = Market {
            base: Some(200 * GWEI),
            tip: GWEI,
        };
        assert_eq!(spike.replacement(previous, 100 * GWEI), None);
        assert!(spike.outgrew(previous) && !market.outgrew(previous));
    }
}
