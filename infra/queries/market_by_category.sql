-- The market by category: events, venues and price span of each segment, genre and sub-genre.
SELECT coalesce(segment_name, 'Undefined') AS segment,
       coalesce(genre_name, 'Undefined') AS genre,
       coalesce(sub_genre_name, 'Undefined') AS sub_genre,
       count(*) AS events,
       count(DISTINCT venue_id) AS venues,
       count(min_price) AS priced_events,
       min(min_price) AS lowest_price,
       max(max_price) AS highest_price
FROM ticketmaster_events
GROUP BY 1, 2, 3
ORDER BY events DESC, segment, genre, sub_genre
