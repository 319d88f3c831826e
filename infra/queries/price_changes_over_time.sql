-- How prices moved: every version of an event whose price is another than that of the version before it.
SELECT id, name, genre_name AS genre, currency, observed_on, price_before, min_price AS price
FROM (
    SELECT id, name, genre_name, currency, min_price,
           CAST(observed_date AS date) AS observed_on,
           lag(min_price) OVER (PARTITION BY id ORDER BY synced_at) AS price_before
    FROM ticketmaster_events_history
) AS versions
WHERE price_before IS NOT NULL AND min_price IS NOT NULL AND min_price <> price_before
ORDER BY observed_on, id
