//! `Slots` against a model: an ordered map that never forgets a token.

use asyncio_driver::{Slots, Token};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Step {
    Insert,
    /// Removes by the token that was given out as the n-th, whether its value is still there or not.
    Remove(usize),
    Change(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Insert),
        2 => (0_usize..64).prop_map(Step::Remove),
        1 => (0_usize..64).prop_map(Step::Change),
    ]
}

proptest! {
    #[test]
    fn slots_are_a_map_whose_keys_are_never_given_out_twice(steps in proptest::collection::vec(step(), 0..200)) {
        let mut slots = Slots::new();
        let mut model = BTreeMap::<Token, usize>::new();
        let mut given_out = Vec::<Token>::new();

        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert => {
                    let token = slots.insert(number);
                    prop_assert!(!given_out.contains(&token), "{:?} was given out before", token);
                    given_out.push(token);
                    model.insert(token, number);
                }
                Step::Remove(nth) => {
                    if let Some(token) = given_out.get(nth) {
                        prop_assert_eq!(slots.remove(*token), model.remove(token));
                    }
                }
                Step::Change(nth) => {
                    if let Some(token) = given_out.get(nth) {
                        let (ours, models) = (slots.get_mut(*token), model.get_mut(token));
                        prop_assert_eq!(&ours, &models);
                        if let (Some(ours), Some(models)) = (ours, models) {
                            (*ours, *models) = (number, number);
                        }
                    }
                }
            }
            prop_assert_eq!((slots.len(), slots.is_empty()), (model.len(), model.is_empty()));
            for token in &given_out {
                prop_assert_eq!(slots.get(*token), model.get(token));
            }
            let all: BTreeMap<_, _> = slots.iter().map(|(token, value)| (token, *value)).collect();
            prop_assert_eq!(&all, &model);
            let indices: BTreeSet<_> = model.keys().map(|token| token.slot()).collect();
            prop_assert_eq!(indices.len(), model.len(), "one value for each slot");
            let words: BTreeSet<_> = given_out.iter().map(|token| token.to_word()).collect();
            prop_assert!(words.len() == given_out.len() && !words.contains(&u64::MAX));
        }
    }
}
