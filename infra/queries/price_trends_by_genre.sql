-- Prices by genre and month of the event, in each currency: events with a price, and the middle of their lowest and highest.
SELECT genre_name AS genre,
       currency,
       date_trunc('month', start_local_date) AS month,
       count(*) AS events,
       avg(min_price) AS average_lowest,
       avg(max_price) AS average_highest
FROM ticketmaster_events
WHERE min_price IS NOT NULL AND start_local_date IS NOT NULL
GROUP BY 1, 2, 3
ORDER BY genre, currency, month
